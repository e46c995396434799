import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { podWith } from '../../test/pod-cases.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, ExecResult } from '../kube/cluster.ts';
import { readAgent } from './agent.ts';

type Exec = Pick<Cluster, 'exec'>;

const domain = { name: 'appliance', container: 'vm', uri: 'qemu:///system' };
const pod = podWith(undefined);

/** Root loses the capability to change interfaces; others have none to lose. */
const confined =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin', '--'] : [];

/** Runs commands here, with those of this machine's programs alone. */
function container(t: TestContext, ...programs: readonly string[]): Exec {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-tools-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const places = new Map(programs.map((name) => [name, found(name)]));
  for (const [name, place] of places) symlinkSync(place, join(folder, name));
  const [wrapper, ...options] = confined;
  return {
    async exec(_target, [program = '', ...args]): Promise<ExecResult> {
      const path = join(folder, program);
      if (!places.has(program)) {
        throw new PatchpanelError('cluster/exec', `exec: "${program}": executable file not found in $PATH: unknown`);
      }
      return await new Promise((resolve) => {
        const [file, ...rest] = wrapper === undefined ? [path, ...args] : [found(wrapper), ...options, path, ...args];
        execFile(file ?? path, rest, { env: { PATH: folder } }, (error, stdout, stderr) => {
          resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
        });
      });
    },
  };
}

function found(name: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    try {
      accessSync(join(folder, name));
      return join(folder, name);
    } catch {}
  }
  throw new Error(`there is no ${name} here`);
}

/** What the container lacks, but for the device, which depends on the machine. */
async function lacking(exec: Exec): Promise<readonly string[]> {
  const reading = await readAgent(exec, pod, domain);
  assert.equal(reading.kind, 'unfit', JSON.stringify(reading));
  return reading.kind === 'unfit' ? reading.missing.filter((part) => !part.startsWith('/dev/')) : [];
}

test('a container that lacks programs and the capability: all of it is named', async (t) => {
  assert.deepEqual(await lacking(container(t, 'dd', 'rm', 'ip')), ['virsh', 'NET_ADMIN']);
  assert.deepEqual(await lacking(container(t, 'dd')), ['virsh', 'ip', 'rm', 'NET_ADMIN']);
});

test('without dd nothing else can be told', async (t) => {
  assert.deepEqual(await lacking(container(t)), ['dd', 'virsh', 'ip', 'rm']);
});

test('a pod that does not run is not looked into', async () => {
  const never: Exec = { exec: () => assert.fail('nobody may look') };
  for (const other of [podWith(undefined, { phase: 'Pending' }), podWith(undefined, { deleting: true })]) {
    assert.equal((await readAgent(never, other, domain)).kind, 'unread');
  }
});

test('an exec that is refused is told, not thrown', async () => {
  const refusing: Exec = {
    exec: () => Promise.reject(new PatchpanelError('cluster/forbidden', 'pods/exec is forbidden')),
  };
  const reading = await readAgent(refusing, pod, domain);
  assert.ok(reading.kind === 'unread');
  assert.match(reading.why, /pods\/exec is forbidden/);
});
