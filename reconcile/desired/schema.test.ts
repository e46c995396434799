import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
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
