/** Plans that were tampered with or are of another cluster, and names that look like options or shell, through the command line. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import { digestOf } from '../reconcile/plan/canonical-json.ts';
import type { Json } from '../reconcile/vocabulary.ts';
import { CliStage } from './cli-stage.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start();
});
after(() => stage.stop());

type Edit = (plan: { targets: { actions: Json[]; uid: string; read: { fields: Json; digest: string } }[] }) => void;

/** A file with the plan changed; `signed`: with a digest that fits, as somebody makes it who knows how. */
async function tampered(text: string, edit: Edit, signed: boolean): Promise<string> {
  const { digest, ...plan } = JSON.parse(text);
  edit(plan);
  const file = join(stage.folder, `tampered-${Math.random()}.json`);
  await writeFile(file, JSON.stringify({ ...plan, digest: signed ? digestOf(plan) : digest }));
  return file;
}

function unplug(name: string): Edit {
  return ({ targets: [target] }) => {
    target?.actions.unshift({ id: 'x', after: [], kind: 'unplug', attachments: [name], delivery: 'in-place' });
  };
}

test('a plan that was edited is refused, and a forged one reaches no NIC that is not ours', async () => {
  // A NIC that a person plugged.
  await stage.cluster.admin.jsonPatch(virtualMachines, 'demo', 'web-1', [
    {
      op: 'add',
      path: '/spec/template/spec/networks/-',
      value: { name: 'theirs', multus: { networkName: 'mgmt-net' } },
    },
    {
      op: 'add',
      path: '/spec/template/spec/domain/devices/interfaces/-',
      value: { name: 'theirs', bridge: {}, model: 'virtio' },
    },
  ]);
  for (let tries = 0; tries < 200 && !(await stage.guestNics('web-1')).includes('theirs'); tries += 1) await sleep(50);
  const path = await stage.desired('saved', { 'web-1': ['backup'] });
  const text = (await stage.expect(2, ['plan', path, '-o', 'json'])).stdout;
  const before = await stage.guestNics('web-1');
  const nothing: Edit = () => {};
  const link: Edit = ({ targets: [target] }) => {
    target?.actions.unshift({ id: 'x', after: [], kind: 'link', attachment: 'default', state: 'down' });
  };
  const uid: Edit = ({ targets: [target] }) => {
    if (target !== undefined) target.uid = 'another';
  };
  const fields: Edit = ({ targets: [target] }) => {
    const read = target?.read;
    if (read === undefined) return;
    read.fields = { ...(read.fields as object), vm: null };
    read.digest = digestOf(read.fields);
  };
  stage.requests();
  for (const edit of [unplug('theirs'), unplug('default'), uid]) {
    const refused = await stage.expect(3, ['apply', await tampered(text, edit, false)]);
    assert.match(refused.stderr, /does not fit its digest: the file was edited .*\(plan\/format\)/);
  }
  // With a digest that fits: each by another rule.
  assert.match(
    (await stage.expect(3, ['apply', await tampered(text, link, true)])).stderr,
    /about default, which is not declared/,
  );
  assert.match((await stage.expect(7, ['apply', await tampered(text, fields, true)])).stderr, /plan\/stale/);
  const own = await stage.expect(5, ['apply', await tampered(text, unplug('default'), true)]);
  assert.match(own.stdout + own.stderr, /"default" is the default network of the VM/);
  const foreign = await stage.expect(5, ['apply', await tampered(text, unplug('theirs'), true)]);
  assert.match(foreign.stdout + foreign.stderr, /"theirs" is no longer on the record of what patchpanel plugged/);
  const made = await stage.expect(5, ['apply', await tampered(text, uid, true)]);
  assert.match(made.stdout + made.stderr, /plan\/stale|was deleted and made anew/);
  assert.deepEqual(stage.writes(), []);
  assert.deepEqual(await stage.guestNics('web-1'), before);
  await stage.expect(0, ['apply', await tampered(text, nothing, false)]);
});

test('a plan of another cluster is stale here: there, a VM of that name is another', async () => {
  const path = await stage.desired('foreign', { 'web-0': ['storage'] });
  const text = (await stage.expect(2, ['plan', path, '-o', 'json'])).stdout;
  const file = await tampered(
    text,
    ({ targets }) => {
      for (const target of targets) {
        const { uid, read } = target;
        target.uid = 'of-another';
        read.fields = JSON.parse(JSON.stringify(read.fields).replaceAll(uid, target.uid));
        read.digest = digestOf(read.fields);
      }
    },
    true,
  );
  stage.requests();
  assert.match(
    (await stage.expect(7, ['apply', file])).stderr,
    /is not as the plan found it: vm\.uid was "?of-another/,
  );
  assert.deepEqual(stage.writes(), []);
});

test('names that look like options or shell are names, or refused as what they are', async () => {
  const mark = join(stage.folder, 'ran');
  const shell = [`$(touch ${mark})`, `; touch ${mark}`, `\`touch ${mark}\``, '--help', '-rf', '../../x', 'a\nb'];
  for (const [index, name] of shell.entries()) {
    const path = await stage.desired(`odd-${index}`, {});
    const spec = { target: { kind: 'VirtualMachine', name }, attachments: [{ name, network: name }] };
    const object = { apiVersion: 'patchpanel.dev/v1alpha1', kind: 'NetworkAttachments', metadata: { name: 'x' }, spec };
    await writeFile(join(path, 'a.yaml'), JSON.stringify(object));
    const refused = await stage.expect(3, ['plan', path]);
    assert.match(refused.stderr, /schema\/invalid/);
  }
  for (const name of shell.slice(0, 3)) {
    // None of these is a folder, a VM or a cluster; each is told as that.
    assert.match((await stage.expect(3, ['plan', name])).stderr, /source\/not-found/);
    assert.equal((await stage.run(['trace', `demo/${name}`])).code !== 0, true);
  }
  assert.match((await stage.expect(3, ['plan', '--', '--help'])).stderr, /source\/not-found/);
  assert.equal(existsSync(mark), false);
});

test('the words of others make no lines of their own in a log', async () => {
  const path = await stage.desired('words', {});
  const evil = 'x\nerror forged\u001b[2J\u009b31m\u202e';
  await writeFile(join(path, 'a.yaml'), `kind: ${JSON.stringify(evil)}\napiVersion: patchpanel.dev/v1alpha1\n`);
  const plain = await stage.expect(3, ['validate', path]);
  for (const text of [plain.stdout, plain.stderr]) {
    assert.doesNotMatch(text, /^error forged/m);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  }
  const json = await stage.expect(3, ['apply', path, '--log-format', 'json']);
  const lines = json.stderr.trimEnd().split('\n');
  for (const line of lines) assert.equal(typeof JSON.parse(line).time, 'string', line);
});
