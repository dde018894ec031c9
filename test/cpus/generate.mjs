// node generate.mjs DIRECTORY ISA...: the levels of this CPU, and what each ISA named computes, as JSON; 'auto' is what triga takes
// by itself. Plain JavaScript over dist/, so that a node of any architecture runs it.
import { createHash } from 'node:crypto';
import { loadTextModel } from '../../dist/index.js';
import { availableIsas } from '../../dist/testing.js';

const prompt = [3, 1, 4, 1, 5, 9, 2, 6];
const [directory, ...isas] = process.argv.slice(2);

/** Ids, and a digest of the bits of all logits. */
async function run(isa, weights) {
  if (isa === 'auto') delete process.env.TRIGA_ISA;
  else process.env.TRIGA_ISA = isa;
  const model = await loadTextModel(directory, { device: 'cpu', weights });
  try {
    const greedy = await model.generate(prompt, { maxNewTokens: 12 });
    const drawn = await model.generate(prompt, { maxNewTokens: 12, temperature: 1, seed: 7 });
    const { data } = await model.logits([...prompt, ...greedy.tokens]);
    const bits = createHash('sha256').update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return {
      isa: model.info.isa,
      greedy: greedy.tokens,
      drawn: drawn.tokens,
      logits: bits.digest('hex'),
    };
  } finally {
    await model.dispose();
  }
}

const runs = [];
for (const isa of isas) {
  const result = {};
  for (const weights of ['f32', 'bf16'])
    result[weights] = await run(isa, weights).catch(({ code, message }) => ({ code, message }));
  runs.push(result);
}
console.log(JSON.stringify({ arch: process.arch, isas: availableIsas(), runs }));
