import assert from 'node:assert/strict';
import { test } from 'node:test';
import { events, pods } from './builtin-resources.ts';
import { nameSelected, parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { ApiError } from './status.ts';

const object = {
  metadata: { name: 'p', namespace: 'n', labels: { app: 'web', tier: '3' } },
  spec: { nodeName: 'node01' },
};

const labels: readonly (readonly [string, boolean])[] = [
  ['app=web', true],
  ['app==web', true],
  ['app!=web', false],
  ['missing!=web', true],
  ['app in (db, web)', true],
  ['app notin (db,web)', false],
  ['missing notin (a)', true],
  ['app', true],
  ['!app', false],
  ['!missing', true],
  ['tier>2,tier<4', true],
  ['app=web,tier=4', false],
  ['constructor', false],
];
for (const [selector, expected] of labels) {
  test(`label selector ${selector}`, () => assert.equal(parseLabelSelector(selector)?.(object), expected));
}

test('an empty selector selects all', () => {
  assert.equal(parseLabelSelector(''), undefined);
  assert.equal(parseFieldSelector('', pods), undefined);
});

for (const selector of ['a=b=c', 'in (a', 'a=b c', 'a/b/c=d', 'app in web']) {
  test(`label selector ${selector} is refused`, () => {
    assert.throws(
      () => parseLabelSelector(selector),
      (error) => error instanceof ApiError && error.code === 400,
    );
  });
}

test('field selectors', () => {
  assert.equal(parseFieldSelector('spec.nodeName=node01', pods)?.matches(object), true);
  assert.equal(parseFieldSelector('spec.nodeName!=node01', pods)?.matches(object), false);
  assert.equal(parseFieldSelector('status.phase=', pods)?.matches(object), true);
  assert.equal(parseFieldSelector('metadata.name=p,metadata.namespace=n', pods)?.name, 'p');
  assert.throws(() => parseFieldSelector('spec.hostname=x', pods), /field label not supported: spec\.hostname/);
});

test('the source of an event is its component, or who reported it', () => {
  const selector = parseFieldSelector('source=multus', events);
  assert.equal(selector?.matches({ source: { component: 'multus', host: 'node01' } }), true);
  assert.equal(selector?.matches({ source: {}, reportingComponent: 'multus' }), true);
  assert.equal(selector?.matches({ source: { component: 'kubelet' }, reportingComponent: 'multus' }), false);
});

test('the one name that a selector allows', () => {
  assert.equal(nameSelected('spec.nodeName=x,metadata.name=p'), 'p');
  assert.equal(nameSelected('metadata.name!=p'), undefined);
});
