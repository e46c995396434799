import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateJsonPath } from './json-path.ts';
import { humanDuration } from './time.ts';

const vm = {
  metadata: { annotations: { 'example.dev/key': 'v' } },
  status: {
    conditions: [
      { type: 'Paused', status: 'False' },
      { type: 'Ready', status: 'True' },
    ],
    interfaces: [{ ip: '10.0.0.1' }],
  },
};

const paths: readonly (readonly [string, readonly unknown[]])[] = [
  ['.status.interfaces[0].ip', ['10.0.0.1']],
  [".status.conditions[?(@.type=='Ready')].status", ['True']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  ['.status.conditions[*].type', ['Paused', 'Ready']],
  ['.metadata.annotations.example\\.dev/key', ['v']],
  [".metadata.annotations['example.dev/key']", ['v']],
  ['.status.missing.deep', []],
  ['.constructor', []],
];
for (const [path, expected] of paths) {
  test(`JSONPath ${path}`, () => assert.deepEqual(evaluateJsonPath(vm, path), expected));
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const durations: readonly (readonly [number, string])[] = [
  [0, '0s'],
  [119 * second, '119s'],
  [2 * minute, '2m'],
  [9 * minute + 5 * second, '9m5s'],
  [10 * minute, '10m'],
  [3 * hour + 4 * minute, '3h4m'],
  [30 * hour, '30h'],
  [50 * hour, '2d2h'],
  [24 * 30 * hour, '30d'],
  [24 * 365 * 3 * hour, '3y'],
];
for (const [milliseconds, expected] of durations) {
  test(`${expected} is how long that is`, () => assert.equal(humanDuration(milliseconds), expected));
}
