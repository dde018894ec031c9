/** Runs `work` with TRIGA_ISA set, and puts back what was there. */
export async function withIsa<T>(isa: string, work: () => T | Promise<T>): Promise<T> {
  const before = process.env.TRIGA_ISA;
  process.env.TRIGA_ISA = isa;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env.TRIGA_ISA;
    else process.env.TRIGA_ISA = before;
  }
}
