/** Milliseconds between two drawings: enough to look alive. */
const drawEvery = 100;
const barWidth = 24;

/** A bar on the terminal's last line. Where stderr is no terminal it draws nothing. */
export interface Progress {
  update(label: string, done: number, total: number): void;
  /** Wipes the line. */
  clear(): void;
}

export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let drawn = false;
  let last = Number.NEGATIVE_INFINITY;
  return {
    update(label, done, total) {
      const now = performance.now();
      if (!stream.isTTY || (now - last < drawEvery && done < total)) return;
      last = now;
      drawn = true;
      stream.write(`\r\x1b[K${progressLine(label, done, total, stream.columns || 80)}`);
    },
    clear() {
      if (drawn) stream.write('\r\x1b[K');
      drawn = false;
    },
  };
}

/** `label  ████░░░░  50%`, the label shortened so that it all fits into `columns`. */
export function progressLine(label: string, done: number, total: number, columns: number): string {
  const share = total > 0 ? Math.min(Math.max(done / total, 0), 1) : 1;
  const filled = Math.round(share * barWidth);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${`${Math.floor(share * 100)}%`.padStart(4)}`;
  const room = Math.max(columns - bar.length - 3, 0);
  const name = label.length > room ? `${label.slice(0, Math.max(room - 1, 0))}…` : label;
  return `${name}  ${bar}`.slice(0, Math.max(columns - 1, 0));
}
