/** The end states of recorded clusters, where PATCHPANEL_CASES names the folder that has them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordings } from '../../test/recordings.ts';
import { declared, desiredState, liveState } from '../../test/vm-builder.ts';
import type { DesiredTarget } from '../desired/model.ts';
import type { LiveVm } from '../live/model.ts';
import { joinVm, projectPod, projectVm, projectVmi } from '../live/project.ts';
import { diffState } from './diff.ts';

const { path: folder, skip } = recordings('kubevirt-flow');

/** The VM that a recording ended with; undefined where it holds several, or none. */
function finalVm(file: string): LiveVm | undefined {
  const { final } = JSON.parse(readFileSync(file, 'utf8'));
  if (final?.vm === undefined || final.vm === null) return undefined;
  const launchers = (final.pods ?? []).flatMap((pod: Parameters<typeof projectPod>[0]) => projectPod(pod) ?? []);
  return joinVm(projectVm(final.vm), final.vmi ? projectVmi(final.vmi) : undefined, launchers);
}

/** A declaration of all that the VM has. */
function asFound(vm: LiveVm): DesiredTarget {
  const {
    attachments: [sample],
    ...target
  } = declared([{ name: 'any' }]);
  assert.ok(sample);
  const attachments = vm.nics.flatMap(({ name, network, binding, state, mac, isDefault }) =>
    isDefault || network === undefined || binding !== 'bridge' || state === 'absent'
      ? []
      : [{ ...sample, name, network, state, ...(mac === undefined ? {} : { mac }) }],
  );
  return { ...target, target: { kind: 'VirtualMachine', namespace: vm.namespace, name: vm.name }, attachments };
}

test('what a recorded cluster has plugged counts as converged', { skip }, () => {
  let seen = 0;
  for (const file of readdirSync(folder)) {
    const vm = finalVm(join(folder, file));
    if (vm === undefined) continue;
    const [diff] = diffState(desiredState([asFound(vm)]), liveState([vm]));
    for (const { name, state, differences } of diff?.attachments ?? []) {
      const sources = vm.vmi?.status.find((nic) => nic.name === name)?.sources ?? [];
      if (state === 'unmanaged' || !sources.includes('domain') || !sources.includes('multus-status')) continue;
      assert.equal(state, 'converged', `${file} ${name} ${JSON.stringify(differences)}`);
      seen += 1;
    }
  }
  assert.ok(seen > 20, `${seen} NICs were compared`);
});
