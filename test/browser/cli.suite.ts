/** Pages as the command line writes them, of VMs that run in the sandbox. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { CliStage } from '../cli-stage.ts';
import { readManifests } from '../deploy-manifests.ts';
import { whatIsMissing } from './install.ts';
import { withBrowser } from './stage.ts';

const test = withBrowser();

let stage: CliStage;
before(async () => {
  if (whatIsMissing().length === 0) stage = await CliStage.start({ vms: 3 });
});
after(async () => {
  if (whatIsMissing().length === 0) await stage.stop();
});

test('plan -o html shows every declared VM with its ports, and ends as other formats do', async (open) => {
  const folder = await stage.desired('plan', { 'web-0': ['storage', 'backup'], 'web-1': [], 'db-9': ['storage'] });
  const { stdout } = await stage.expect(4, ['plan', folder, '-o', 'html']);
  const { page, names, shown } = await open(stdout);
  assert.deepEqual(await names(), ['demo/db-9', 'demo/web-0', 'demo/web-1']);
  assert.match((await shown.nth(0).textContent()) ?? '', /vm-not-found[\s\S]*Create the VM/);
  const web = shown.nth(1);
  assert.match((await web.locator('.ports').textContent()) ?? '', /^10 ports: 6 used, 2 to be used, 2 free$/);
  assert.equal(await web.locator('.cable.t-plug').count(), 2);
  assert.match((await web.locator('.rows').textContent()) ?? '', /plugbackupbackup-net.*plugstoragestorage-net/s);
  assert.match((await web.locator('.head').textContent()) ?? '', /web-0\.yaml:1/);
  assert.match((await page.locator('.summary').textContent()) ?? '', /^Plan: 1 VM to change \(2 plugs\), 1 VM blocked/);
});

test('status -o html joins the record with what runs now, and does without the latter where it must', async (open) => {
  const place = 'patchpanel/patchpanel-record';
  const folder = await stage.desired('status', { 'web-0': ['storage'], 'db-0': ['mgmt'], 'web-1': ['nowhere'] });
  await stage.expect(0, ['apply', await stage.desired('first', { 'web-0': ['backup'] })]);
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mgmt' });
  await stage.expect(5, ['apply', folder, '--record', place, '--action-timeout', '2']);
  await stage.cluster.misbehave();
  const { stdout } = await stage.expect(0, ['status', '--record', place, '-o', 'html', '--domain-xml', 'always']);
  const { page, names, shown } = await open(stdout);
  assert.deepEqual(await names(), ['demo/db-0', 'demo/web-1', 'demo/web-0']);
  const badges = (at: number) => shown.nth(at).locator('.badges li').allTextContents();
  assert.equal((await badges(0))[0], '×failed');
  assert.match(
    (await shown.nth(0).locator('.blocks').textContent()) ?? '',
    /no NIC "mgmt"[\s\S]*patchpanel\.dev\/held-/,
  );
  const [run, since = ''] = await shown.nth(0).locator('.facts').allTextContents();
  assert.equal(run, 'running');
  assert.match(since, /^since \d{4}-\d\d-\d\d \d\d:\d\d UTC$/);
  assert.deepEqual(await badges(1), ['×blocked']);
  assert.match((await shown.nth(1).locator('.blocks').textContent()) ?? '', /network-missing/);
  assert.deepEqual(await badges(2), ['=in sync']);
  assert.equal(await shown.nth(2).locator('.cable.t-stays').count(), 1);
  assert.match((await shown.nth(2).locator('.rows').textContent()) ?? '', /staysstoragestorage-net/);
  assert.match((await page.locator('.summary').textContent()) ?? '', /^partly-failed: 1 of 3 targets in sync/);
  assert.match((await page.locator('.runs tbody').textContent()) ?? '', /partly-failed/);

  // An account that may read the record and nothing else.
  await stage.cluster.enforce(readManifests('base/record.yaml'));
  const blind = await stage.expect(0, ['status', '--record', place, '-o', 'html']);
  const other = await open(blind.stdout);
  assert.match((await other.page.locator('header .notices').textContent()) ?? '', /what runs now could not be read/);
  assert.deepEqual(await other.names(), ['demo/db-0', 'demo/web-1', 'demo/web-0']);
  assert.equal(await other.page.locator('.cable').count(), 0);
});
