import { describe, expect, test } from 'vitest';
import { built, clean, runNode } from '../run_node.js';
import { largeModel, smallModel } from './checkpoints.js';
import { limit } from './limit.js';

/** What goes on when the end comes, as a module's code; `source` is the model's directory. */
const work = {
  'a load': `void loadTextModel(source, { device: 'cpu' }); started();`,
  'generate()': `
    const model = await loadTextModel(source, { device: 'cpu' });
    for (let i = 0; i < 6; i++) void model.generate('Once upon a time', { maxNewTokens: 400, eosTokenId: [] });
    started();`,
  'logits()': `
    const model = await loadTextModel(source, { device: 'cpu' });
    for (let i = 0; i < 50; i++) void model.logits(Array.from({ length: 500 }, (_, k) => k % 256));
    started();`,
} as const;

/** A load takes long only if the model is large. */
const modelFor = (what: string): Promise<string> => (what === 'a load' ? largeModel() : smallModel());

describe('process.exit() in the midst of work: the code that was asked for, nothing on stderr, at once', () => {
  const moments = [0, 2, 9, 35, 140];

  test.each(Object.entries(work))('of %s', async (what, code) => {
    const source = JSON.stringify(await modelFor(what));
    for (const after of moments) {
      const ended = await runNode(`
        const source = ${source};
        const started = () => setTimeout(() => { console.log(Date.now()); process.exit(7); }, ${after});
        ${code}`);
      const lasted = Date.now() - Number(ended.out);
      expect(ended, `after ${after} ms`).toMatchObject({ ...clean, code: 7 });
      expect(lasted, `exit after ${after} ms`).toBeLessThan(limit(1000));
    }
  });
});

describe('worker threads', () => {
  test.each(Object.entries(work))(
    'ended in the midst of %s, twenty times: the others go on, and the process ends clean',
    async (what, code) => {
      const ended = await runNode(
        `
        import { Worker } from 'node:worker_threads';
        const small = ${JSON.stringify(await smallModel())};
        const body = \`
          import('${built.href}').then(async ({ loadTextModel }) => {
            const { parentPort } = await import('node:worker_threads');
            const source = \${${JSON.stringify(JSON.stringify(await modelFor(what)))}};
            const started = () => parentPort.postMessage('started');
            ${code}
          });\`;
        const model = await loadTextModel(small, { device: 'cpu' });
        const options = { maxNewTokens: 60, eosTokenId: [], temperature: 1, seed: 5, logprobs: 2 };
        const say = async () => JSON.stringify((await model.generate('Once upon', options)).sequences);
        const alone = await say();
        for (let round = 0; round < 10; round++) {
          const workers = [0, 1].map(() => new Worker(body, { eval: true }));
          await Promise.all(workers.map((w) => new Promise((resolve, reject) => {
            w.once('message', resolve);
            w.once('error', reject);
          })));
          await new Promise((resolve) => setTimeout(resolve, (round * 13) % 40));
          const beside = say();
          await Promise.all(workers.map((w) => w.terminate()));
          if ((await beside) !== alone) console.log('another result');
        }
        await model.dispose();
        console.log('done');`,
        { timeout: 100_000 },
      );
      expect(ended).toMatchObject({ ...clean, out: 'done' });
    },
  );

  test('several at once, each with a model of its own, say what the main thread says', async () => {
    const ended = await runNode(`
      import { Worker } from 'node:worker_threads';
      const source = ${JSON.stringify(await smallModel())};
      const options = { maxNewTokens: 60, eosTokenId: [], temperature: 1, seed: 5, logprobs: 2 };
      const body = \`
        import('${built.href}').then(async ({ loadTextModel }) => {
          const { parentPort, workerData } = await import('node:worker_threads');
          const model = await loadTextModel(workerData.source, { device: 'cpu' });
          const said = [];
          for (let i = 0; i < 5; i++) said.push(JSON.stringify((await model.generate('Once upon', workerData.options)).sequences));
          await model.dispose();
          parentPort.postMessage(said);
        });\`;
      const model = await loadTextModel(source, { device: 'cpu' });
      const want = JSON.stringify((await model.generate('Once upon', options)).sequences);
      const said = await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
        const worker = new Worker(body, { eval: true, workerData: { source, options } });
        worker.once('message', resolve);
        worker.once('error', reject);
      })));
      await model.dispose();
      console.log(said.flat().length, new Set([want, ...said.flat()]).size);`);
    expect(ended).toMatchObject({ ...clean, out: '20 1' });
  });
});
