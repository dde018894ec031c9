import { floatColumn, floatColumns, type Ids, intColumn, intColumns, type SampleRow } from './row.js';

/** Inputs of the op `sample` but the logits. */
export interface PackedRows {
  readonly rowFloats: Float32Array; // [R, 8]
  readonly rowInts: Int32Array; // [R, 24]
  readonly lists: Int32Array; // [L]
}

/** Rows as the inputs of the op `sample`. */
export function packRows(rows: readonly SampleRow[]): PackedRows {
  const rowFloats = new Float32Array(rows.length * floatColumns);
  const rowInts = new Int32Array(rows.length * intColumns);
  const lists: number[] = [];
  const put = (ids: Ids): [number, number] => {
    const begin = lists.length;
    for (let i = 0; i < ids.length; i++) lists.push(ids[i] as number);
    return [begin, lists.length];
  };
  rows.forEach((row, r) => {
    for (const [name, column] of Object.entries(floatColumn)) {
      rowFloats[r * floatColumns + column] = row[name as keyof typeof floatColumn];
    }
    const ints = rowInts.subarray(r * intColumns, (r + 1) * intColumns);
    ints[intColumn.mode] = row.mode;
    ints[intColumn.topK] = row.topK;
    ints[intColumn.noRepeatNgramSize] = row.noRepeatNgramSize;
    ints[intColumn.encoderNoRepeatNgramSize] = row.encoderNoRepeatNgramSize;
    ints.set(row.seed, intColumn.seedLow);
    ints[intColumn.returnIndex] = row.returnIndex;
    ints[intColumn.position] = row.position;
    ints.set(put(row.history), intColumn.historyBegin);
    ints[intColumn.promptLength] = row.promptLength;
    ints.set(put(row.encoder), intColumn.encoderBegin);
    ints.set(
      put(row.badWords.flatMap((word) => [word.length, ...Array.from(word)])),
      intColumn.badWordsBegin,
    );
    ints.set(put(row.suppressed), intColumn.suppressedBegin);
    ints.set(put(row.forced), intColumn.forcedBegin);
    ints[intColumn.allowedBegin] = row.allowed ? put(row.allowed)[0] : -1;
  });
  return { rowFloats, rowInts, lists: Int32Array.from(lists) };
}

/** The row that {@link packRows} wrote: views of the lists. */
export function unpackRow(floats: Ids, ints: Ids, lists: Float64Array, vocabulary: number): SampleRow {
  const float = (name: keyof typeof floatColumn): number => floats[floatColumn[name]] as number;
  const int = (name: keyof typeof intColumn): number => ints[intColumn[name]] as number;
  const begin = int('allowedBegin');
  return {
    mode: int('mode'),
    temperature: float('temperature'),
    topK: int('topK'),
    topP: float('topP'),
    minP: float('minP'),
    typicalP: float('typicalP'),
    repetitionPenalty: float('repetitionPenalty'),
    presencePenalty: float('presencePenalty'),
    frequencyPenalty: float('frequencyPenalty'),
    noRepeatNgramSize: int('noRepeatNgramSize'),
    encoderNoRepeatNgramSize: int('encoderNoRepeatNgramSize'),
    seed: [int('seedLow'), int('seedHigh')],
    returnIndex: int('returnIndex'),
    position: int('position'),
    history: lists.subarray(int('historyBegin'), int('historyEnd')),
    promptLength: int('promptLength'),
    encoder: lists.subarray(int('encoderBegin'), int('encoderEnd')),
    badWords: unpackWords(lists.subarray(int('badWordsBegin'), int('badWordsEnd'))),
    suppressed: lists.subarray(int('suppressedBegin'), int('suppressedEnd')),
    forced: lists.subarray(int('forcedBegin'), int('forcedEnd')),
    allowed: begin < 0 ? undefined : lists.subarray(begin, begin + Math.ceil(vocabulary / 32)),
  };
}

function unpackWords(list: Float64Array): Float64Array[] {
  const words: Float64Array[] = [];
  for (let at = 0; at < list.length; ) {
    const end = at + 1 + (list[at] as number);
    words.push(list.subarray(at + 1, end));
    at = end;
  }
  return words;
}
