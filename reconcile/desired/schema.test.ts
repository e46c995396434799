import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorTable } from '../errors.ts';
import { defaultLimits } from './limits.ts';
import { jsonSchemaOf, kinds } from './schema.ts';

/** Walks every part of a JSON Schema that is itself one. */
function visit(schema: unknown, path: string, see: (schema: object, path: string) => void): void {
  if (typeof schema !== 'object' || schema === null) return;
  see(schema, path);
  const properties: unknown = Reflect.get(schema, 'properties');
  if (typeof properties === 'object' && properties !== null) {
    for (const [name, inner] of Object.entries(properties)) visit(inner, `${path}.${name}`, see);
  }
  visit(Reflect.get(schema, 'items'), `${path}[]`, see);
}

test('every object of the published schemas is closed, and every field of them is described', () => {
  let objects = 0;
  for (const kind of kinds) {
    visit(jsonSchemaOf(kind), kind, (schema, path) => {
      const described = typeof Reflect.get(schema, 'description') === 'string';
      assert.ok(described || /\.(apiVersion|kind)$/.test(path), `${path} has a description`);
      if (Reflect.has(schema, 'properties')) {
        objects += 1;
        assert.equal(Reflect.get(schema, 'additionalProperties'), false, path);
      }
    });
  }
  assert.ok(objects >= 7);
});

test('what has a default is not required', () => {
  const { required } = jsonSchemaOf('NetworkAttachments');
  assert.deepEqual(required, ['apiVersion', 'kind', 'metadata', 'spec']);
  const text = JSON.stringify(jsonSchemaOf('NetworkAttachments'));
  assert.match(text, /"required":\["name","network"\]/);
});

test('the published files are fresh', () => {
  const root = join(import.meta.dirname, '../..');
  execFileSync(process.execPath, ['test/generate.ts', '--check'], { cwd: root, stdio: 'pipe' });
});

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/desired-state.md'), 'utf8');

test('the reference page names every field and every value that is one of a list', () => {
  for (const kind of kinds) {
    visit(jsonSchemaOf(kind), '', (schema, path) => {
      const inAttachment = path.startsWith('.spec.attachments[].');
      const name = path.slice(inAttachment ? '.spec.attachments[].'.length : 1).replaceAll('[]', '');
      const isLeaf = !Reflect.has(schema, 'properties');
      if (isLeaf) assert.ok(page.includes(`\`${name}\``), `${kind}: ${name}`);
      const values: unknown = Reflect.get(schema, 'enum');
      if (Array.isArray(values))
        for (const value of values) assert.ok(page.includes(`\`${value}\``), `${name}: ${value}`);
    });
  }
});

test('the reference page names every error that a load can end with', () => {
  const codes = Object.keys(errorTable).filter((code) => /^(?:source|git|yaml|schema|desired|jsonnet)\//.test(code));
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(page.includes(`\`${code}\``), code);
});

test('the reference page and the code agree on numbers', () => {
  const { properties } = jsonSchemaOf('NetworkAttachments');
  assert.match(JSON.stringify(properties), /"maximum":232/);
  assert.match(JSON.stringify(properties), /"maxItems":255/);
  const numbers = [defaultLimits.maxFiles, defaultLimits.maxEntries, defaultLimits.maxObjects];
  for (const each of numbers) assert.ok(page.includes(each.toLocaleString('en-US')), String(each));
});
