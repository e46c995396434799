/** Rules that our Dockerfile keeps, read from its text; `steps.suite.ts` runs its steps. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readDockerfile } from './dockerfile.ts';

const root = new URL('../../', import.meta.url);
const stages = readDockerfile(readFileSync(new URL('Dockerfile', root), 'utf8'));
const last = stages.at(-1);

test('the image is made in stages, each from a tagged image', () => {
  assert.ok(stages.length >= 2);
  for (const { image } of stages) assert.match(image, /:(?!latest)[\w.-]+(@sha256:[0-9a-f]{64})?$/);
});

test('the last stage runs nothing, so it has no use for a shell or a compiler', () => {
  assert.ok(last);
  const names = last.instructions.map(({ name }) => name);
  assert.ok(!names.includes('RUN'));
  assert.ok(!names.includes('ADD'));
  assert.match(last.image, /distroless/);
});

test('the process is not root, and its command is an argument array', () => {
  const user = last?.instructions.find(({ name }) => name === 'USER');
  assert.match(user?.text ?? '', /^[1-9]\d+:[1-9]\d+$/);
  const entry = last?.instructions.find(({ name }) => name === 'ENTRYPOINT');
  const words: unknown = JSON.parse(entry?.text ?? '');
  assert.ok(Array.isArray(words) && words.includes('/opt/patchpanel/dist/cmd/patchpanel.js'));
});

test('the addon is built at the path where it runs', () => {
  const folders = stages.map((stage) => stage.instructions.find(({ name }) => name === 'WORKDIR')?.text);
  assert.deepEqual(new Set(folders), new Set(['/opt/patchpanel']));
});

test('what is copied from the context exists, and the context lets it through', () => {
  const ignored = readFileSync(new URL('.dockerignore', root), 'utf8');
  for (const { instructions } of stages) {
    for (const { name, text } of instructions) {
      if (name !== 'COPY' || text.startsWith('--from')) continue;
      for (const source of text.split(/\s+/).slice(0, -1)) {
        assert.ok(existsSync(fileURLToPath(new URL(source, root))), source);
        assert.ok(ignored.includes(`!${source}\n`), `.dockerignore holds back ${source}`);
      }
    }
  }
});
