/** A limit in milliseconds. With CI=true it is five times as wide: others may have the machine as well, and the program be right. */
export const limit = (milliseconds: number): number => (process.env.CI === 'true' ? 5 : 1) * milliseconds;
