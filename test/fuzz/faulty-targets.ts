/** Parsers with the faults that fuzzing is to find. */
import { PatchpanelError } from '../../reconcile/errors.ts';
import type { Target } from './target.ts';

function target(name: string, run: Target['run']): Target {
  return { name, kind: 'text', samples: ['a: 1\n', 'b: 2\n'], run };
}

const kept: unknown[] = [];

export const targets: readonly Target[] = [
  target('sound', (input) => {
    if (input.includes('\0')) throw new PatchpanelError('yaml/syntax', 'NUL');
    return { input };
  }),
  target('throws', (input) => {
    if (input.includes('"')) throw new TypeError('no quotes');
  }),
  target('hangs', (input) => {
    while (input.includes('"')) void 0;
  }),
  target('pollutes', (input) => {
    if (!input.includes('"')) return {};
    return Object.assign(Object.create({ polluted: true }), { a: 1 });
  }),
  target('internal', (input) => {
    if (input.includes('"')) throw new PatchpanelError('internal', 'ruled out');
  }),
  target('swallows-memory', (input) => {
    while (input.includes('"')) kept.push(new Array(100_000).fill(kept.length));
  }),
];
