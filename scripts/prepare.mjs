// `npm ci` builds. npx in a clone links the package into its cache and runs `prepare` again, at every call with npm 10: the
// build stands already, so that returns at once.
import { spawnSync } from 'node:child_process';

if (process.env.npm_command !== 'exec') {
  const { status } = spawnSync('npm run build', { stdio: 'inherit', shell: true });
  process.exit(status ?? 1);
}
