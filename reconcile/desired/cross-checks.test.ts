import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vmYaml } from '../../test/desired-state.ts';
import type { PatchpanelError } from '../errors.ts';
import { networkHash } from '../systems/kubevirt-names.ts';
import { type CheckedDocument, checkDocument } from './check-document.ts';
import { type CheckedState, Combination } from './cross-checks.ts';
import { defaultSettings } from './model.ts';
import { parseYaml, SourceText } from './yaml-documents.ts';

function documents(text: string): CheckedDocument[] {
  const errors: PatchpanelError[] = [];
  const checked = [...parseYaml(new SourceText('a.yaml', text), errors)].map((each) => checkDocument(each, errors));
  assert.deepEqual(errors, []);
  return checked.filter((each) => each !== undefined);
}

function combine(text: string, errors: PatchpanelError[], hashOf?: (name: string) => string): CheckedState {
  const combination = new Combination('', 'default', errors, hashOf);
  for (const document of documents(text)) combination.add(document);
  return combination.state();
}

test('two names that lead to one pod interface are refused', () => {
  const text = vmYaml(
    'a',
    'attachments:\n  - {name: one, network: n}\n  - {name: two, network: n}\n  - {name: six, network: n}',
  );
  const errors: PatchpanelError[] = [];
  // No two labels of equal hash are known, so names of one length are taken to share it.
  combine(text, errors, (name) => networkHash(String(name.length)));
  assert.deepEqual(
    errors.map(({ code, position, message }) => `${position?.line} ${code}: ${message}`),
    [
      `7 desired/name-collision: the names "one" and "two" of prod/a lead to one pod interface, pod${networkHash('3')}`,
      `8 desired/name-collision: the names "one" and "six" of prod/a lead to one pod interface, pod${networkHash('3')}`,
    ],
  );
  const none: PatchpanelError[] = [];
  combine(text, none);
  assert.deepEqual(none, []);
});

test('one name in two namespaces is two VMs, and one name in two VMs is two attachments', () => {
  const spec = 'attachments: [{name: x, network: n}]';
  const errors: PatchpanelError[] = [];
  const text = `${vmYaml('a', spec)}---\n${vmYaml('a', spec).replace('prod', 'test')}---\n${vmYaml('b', spec)}`;
  const { targets, settings } = combine(text, errors);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    targets.map(({ target }) => `${target.namespace}/${target.name}`),
    ['prod/a', 'prod/b', 'test/a'],
  );
  assert.deepEqual(settings, defaultSettings);
});

test('settings that say nothing are the defaults', () => {
  const errors: PatchpanelError[] = [];
  const text = 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n';
  assert.deepEqual(combine(text, errors).settings, defaultSettings);
});
