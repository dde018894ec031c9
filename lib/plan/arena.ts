/** A block of memory that a plan needs from step `first` to step `last`. */
export interface ArenaRequest {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

export interface ArenaPlan {
  /** Byte offset of each request, in the order given. */
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** Cache line, and the widest vector. */
const alignment = 64;

/**
 * Places blocks so that those in use at the same time don't overlap: the largest first, each in the lowest gap that holds it.
 * Greedy by size, Pisarchyk & Lee 2020, https://arxiv.org/abs/2001.03288
 */
export function planArena(requests: readonly ArenaRequest[]): ArenaPlan {
  const offsets = new Array<number>(requests.length).fill(0);
  const placed: { begin: number; end: number; request: ArenaRequest }[] = [];
  let bytes = 0;
  const order = requests
    .map((_, i) => i)
    .sort((a, b) => (requests[b] as ArenaRequest).bytes - (requests[a] as ArenaRequest).bytes);
  for (const i of order) {
    const request = requests[i] as ArenaRequest;
    const size = Math.ceil(request.bytes / alignment) * alignment;
    let at = 0;
    for (const other of placed) {
      const apart = other.request.last < request.first || request.last < other.request.first;
      if (apart || other.end <= at) continue;
      if (other.begin >= at + size) break;
      at = other.end;
    }
    offsets[i] = at;
    const after = placed.findIndex(({ begin }) => begin > at);
    placed.splice(after < 0 ? placed.length : after, 0, { begin: at, end: at + size, request });
    bytes = Math.max(bytes, at + size);
  }
  return { offsets, bytes };
}
