import { describe, expect, test } from 'vitest';
import { built, clean, hasBuilt, runNode } from '../run_node.js';
import { hasStories, stories } from './stories.js';

const begin = `
  const source = ${JSON.stringify(stories)};
  const long = { maxNewTokens: 400, eosTokenId: [] };
`;
const run = (code: string) => runNode(begin + code);

describe.skipIf(!hasStories || !hasBuilt)('life cycle (dist/, ../shared/models/stories260K)', () => {
  test.each([0, 5, 20])('process.exit during a run, after %i ms', async (wait) => {
    const code = `
      const model = await loadTextModel(source, { device: 'cpu' });
      for (let i = 0; i < 4; i++) void model.generate('Tom', long);
      void model.logits(Array.from({ length: 500 }, () => 7));
      setTimeout(() => { console.log('bye'); process.exit(0); }, ${wait});`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'bye' });
  });

  test('process.exit during a load', async () => {
    expect(await run(`void loadTextModel(source); setTimeout(() => process.exit(0), 3);`)).toMatchObject(
      clean,
    );
  });

  test('nobody awaits, nobody disposes: the process ends by itself', async () => {
    const model = `const model = await loadTextModel(source);`;
    expect(
      await run(`${model} console.log((await model.generate('Tom', { maxNewTokens: 3 })).tokens.length);`),
    ).toMatchObject({ ...clean, out: '3' });
    expect(await run(`${model} void model.generate('Tom', long);`)).toMatchObject(clean);
    expect(
      await run(`${model} for await (const piece of model.generate('Tom', long)) break; console.log('out');`),
    ).toMatchObject({ ...clean, out: 'out' });
  });

  test('after a load that failed', async () => {
    const code = `
      const onProgress = () => { throw new Error('mine'); };
      await loadTextModel(source, { onProgress }).catch((error) => console.log(error.message));`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'mine' });
  });

  test('a failure that nobody awaits does not end the process', async () => {
    const code = `
      const model = await loadTextModel(source);
      void model.generate([]);
      const abort = new AbortController();
      void model.generate('Tom', { ...long, signal: abort.signal });
      setTimeout(() => abort.abort(), 5);
      setTimeout(async () => { await model.dispose(); console.log('alive'); }, 40);`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'alive' });
  });

  test('worker threads with a model each, ended during a run', async () => {
    const code = `
      import { Worker } from 'node:worker_threads';
      const body = \`
        import('${built.href}').then(async ({ loadTextModel }) => {
          const { parentPort } = await import('node:worker_threads');
          const model = await loadTextModel(\${JSON.stringify(source)}, { device: 'cpu' });
          for (;;) {
            await model.generate('Tom', { maxNewTokens: 100, eosTokenId: [] });
            parentPort.postMessage('more');
          }
        });\`;
      const model = await loadTextModel(source, { device: 'cpu' });
      const want = (await model.generate('Tom', long)).text;
      for (let round = 0; round < 3; round++) {
        const workers = [1, 2].map(() => new Worker(body, { eval: true }));
        await Promise.all(workers.map((w) => new Promise((resolve, reject) => { w.once('message', resolve); w.once('error', reject); })));
        const running = model.generate('Tom', long);
        await Promise.all(workers.map((w) => w.terminate()));
        if ((await running).text !== want) console.log('another text');
      }
      await model.dispose();
      console.log('done');`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'done' });
  });
});
