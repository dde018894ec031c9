/** Why a document is left out of a dataset, and what a report says of it. */
export const dropReasons = {
  not_utf8: 'bytes that are no UTF-8',
  binary: 'NUL bytes: a binary file, or UTF-16',
  malformed: 'a line that is no JSON object with a text in the field',
  empty: 'nothing is left of it',
  too_short: 'shorter than minLength',
  too_long: 'longer than maxLength, or than maxDocumentBytes and nowhere to cut',
  repetitive: 'it says the same again and again',
  special_token: 'it contains a special token; one that stands between documents is a separator',
  duplicate: 'the same text came before',
} as const;

export type DropReason = keyof typeof dropReasons;

/** In an order that workers and their caller agree on: a byte for each, from 1. */
export const dropCodes = Object.keys(dropReasons) as readonly DropReason[];
