// Rebuilds on change and runs the one-minute proof: every test but those of whole models, builds and the command line.
import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const proof = 'npm run build && npx vitest run --exclude "test/{models,build,cli}/**"';
let running = false;
let again = false;
let timer;

for (const folder of ['lib', 'native', 'kernels', 'test']) {
  watch(path.join(root, folder), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(run, 200);
  });
}
run();

function run() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  again = false;
  spawn(proof, { cwd: root, stdio: 'inherit', shell: true }).on('close', () => {
    running = false;
    if (again) run();
  });
}
