import { type DropReason, dropCodes, dropReasons } from './drop_reasons.js';

/** Documents and their bytes. */
export interface Amount {
  documents: number;
  bytes: number;
}

/** What became of the documents that were read. */
export interface DataReport {
  readonly files: number;
  /** As they lie in the files. */
  readonly read: Amount;
  /** After cleaning. */
  readonly kept: Amount;
  /** As they lie in the files; reasons that never came up are left out. */
  readonly dropped: Readonly<Partial<Record<DropReason, Amount>>>;
}

/** Counts what becomes of documents. */
export class ReportBuilder {
  readonly #files: number;
  readonly #read: Amount = { documents: 0, bytes: 0 };
  readonly #kept: Amount = { documents: 0, bytes: 0 };
  readonly #dropped = new Map<DropReason, Amount>();

  constructor(files: number) {
    this.#files = files;
  }

  keep(rawBytes: number, cleanBytes: number): void {
    add(this.#read, 1, rawBytes);
    add(this.#kept, 1, cleanBytes);
  }

  drop(reason: DropReason, documents: number, rawBytes: number): void {
    if (documents === 0 && rawBytes === 0) return;
    add(this.#read, documents, rawBytes);
    const amount = this.#dropped.get(reason) ?? { documents: 0, bytes: 0 };
    add(amount, documents, rawBytes);
    this.#dropped.set(reason, amount);
  }

  get report(): DataReport {
    const found = dropCodes.flatMap((reason) => {
      const amount = this.#dropped.get(reason);
      return amount ? [[reason, { ...amount }] as const] : [];
    });
    return {
      files: this.#files,
      read: { ...this.#read },
      kept: { ...this.#kept },
      dropped: Object.fromEntries(found),
    };
  }
}

function add(amount: Amount, documents: number, bytes: number): void {
  amount.documents += documents;
  amount.bytes += bytes;
}

/** A line for what was read, one for what was kept, and one for each reason that something was dropped for. */
export function describeReport({ files, read, kept, dropped }: DataReport): string {
  const amount = ({ documents, bytes }: Amount): string =>
    `${documents.toLocaleString('en-US')} documents, ${bytes.toLocaleString('en-US')} bytes`;
  return [
    `read     ${amount(read)} in ${files.toLocaleString('en-US')} files`,
    `kept     ${amount(kept)}`,
    ...Object.entries(dropped).map(
      ([reason, lost]) => `dropped  ${amount(lost)}: ${dropReasons[reason as DropReason]}`,
    ),
  ].join('\n');
}
