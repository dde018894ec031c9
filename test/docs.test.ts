import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// README's samples, run as they stand but for the model's path. A sample without import goes on from a loaded `model`.
const root = fileURLToPath(new URL('..', import.meta.url));
const stories = path.resolve(root, '../shared/models/stories260K');
const aren = path.resolve(root, '../shared/models/aren-transliteration');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const samplesOf = (language: string): string[] =>
  [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, code]) =>
    name === language && code ? [code] : [],
  );

let model = '';
beforeAll(() => {
  if (!existsSync(stories)) return;
  // A copy with a chat template, which this model does not have.
  model = path.join(mkdtempSync(path.join(os.tmpdir(), 'triga-docs-')), 'model');
  cpSync(stories, model, { recursive: true });
  writeFileSync(
    path.join(model, 'chat_template.jinja'),
    '{% for m in messages %}{{ m.content }} {% endfor %}',
  );
});
afterAll(() => {
  if (model) rmSync(path.dirname(model), { recursive: true, force: true });
});

/** Runs a module in the package's own scope, where 'triga' is the built package. */
function run(code: string): string {
  // What a sample writes goes beside the model, too.
  const placed = code
    .replace(/'\.\/my-model([\w-]*)'/g, (_, suffix: string) => JSON.stringify(model + suffix))
    .replace("'./my-seq2seq'", JSON.stringify(aren));
  return execFileSync(process.execPath, ['--input-type=module', '-e', placed], {
    cwd: root,
    encoding: 'utf8',
  });
}

const whole = (code: string): string =>
  code.includes('import ')
    ? code
    : `import { loadTextModel } from 'triga';\nconst model = await loadTextModel('./my-model');\n${code}\nawait model.dispose();`;

/** What the compiler has to say about a module that lies in the package's root. */
function typeErrors(code: string): string[] {
  const file = path.join(root, 'readme.ts');
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, incremental: false, rootDir: root },
    root,
  );
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (name, ...rest) =>
    name === file
      ? ts.createSourceFile(name, code, ts.ScriptTarget.ES2023)
      : getSourceFile.call(host, name, ...rest);
  host.fileExists = (name) => name === file || fileExists.call(host, name);
  host.readFile = (name) => (name === file ? code : readFile.call(host, name));
  const program = ts.createProgram([file], { ...options, noEmit: true }, host);
  return ts
    .getPreEmitDiagnostics(program, program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('README', () => {
  test('its TypeScript has no type error', () => {
    const samples = samplesOf('ts');
    expect(samples.map(typeErrors)).toEqual(samples.map(() => []));
  });

  test('its first TypeScript runs', () => {
    const { outputText } = ts.transpileModule(samplesOf('ts')[0] ?? '', {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    expect(run(outputText)).toMatch(/^.*\S[\s\S]* (length 40|eos \d+)\n$/);
  });

  test.skipIf(!existsSync(stories)).each(samplesOf('js').map((code) => [code.trim().split('\n')[0], code]))(
    'its JavaScript runs: %s',
    (_, code = '') => {
      if (code.includes('my-seq2seq') && !existsSync(aren)) return;
      expect(run(whole(code)).trim()).not.toBe('');
    },
  );

  test.skipIf(!existsSync(stories))('the text that it shows is what the model says', () => {
    const [shown = ''] = samplesOf('text');
    const code =
      "process.stdout.write((await model.generate('Once upon a time', { maxNewTokens: 60 })).text);";
    expect(run(whole(code)).startsWith(shown)).toBe(true);
  });
});
