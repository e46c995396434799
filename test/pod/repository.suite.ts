/** The agent path from a desired-state folder on: planned from what is there, applied, also over a run that was killed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from '../../reconcile/plan/model.ts';
import { load, plan } from '../../reconcile/run.ts';
import { results } from '../apply-support.ts';
import { type AgentStage, agentTest, domainName, prompt } from './agent-stage.ts';

/** Plans for the pod as `plan` does, with these attachments declared. */
async function planned(stage: AgentStage, names: readonly string[]): Promise<Plan> {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-'));
  try {
    const attachments = names.map((name) => `    - {name: ${name}, network: lan}\n`).join('');
    writeFileSync(
      join(folder, 'vm.yaml'),
      `apiVersion: patchpanel.dev/v1alpha1
kind: NetworkAttachments
metadata: {name: vm, namespace: demo}
spec:
  target:
    kind: Pod
    domain: {name: ${domainName}, container: vm, uri: ${JSON.stringify(stage.lab.uri)}}
  attachments:${names.length === 0 ? ' []' : ''}
${attachments}`,
    );
    const desired = await load({ kind: 'folder', path: folder }, {}, () => {});
    return await plan(desired, stage.pods.sandbox.admin, 'auto', () => {});
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function kinds({ targets }: Plan): readonly string[] {
  return targets.flatMap(({ actions, blockers }) => [
    ...actions.map(({ kind }) => kind),
    ...blockers.map(({ code, message }) => `${code}: ${message}`),
  ]);
}

agentTest(
  'declared, planned, plugged, unplugged; and nothing is left to do',
  { ports: 4, ...prompt },
  async (stage) => {
    const before = await stage.traces();
    const first = await planned(stage, ['red', 'blue']);
    assert.deepEqual(kinds(first), ['pod-plug', 'domain-attach', 'pod-plug', 'domain-attach']);
    assert.deepEqual(results(await stage.apply(first)), { vm: 'converged' });
    assert.deepEqual(kinds(await planned(stage, ['red', 'blue'])), []);
    const away = await planned(stage, []);
    assert.deepEqual(results(await stage.apply(away)), { vm: 'converged' }, JSON.stringify(kinds(away)));
    assert.deepEqual(await stage.traces(), before);
    assert.deepEqual(kinds(await planned(stage, [])), []);
  },
);

agentTest('killed anywhere, the next plan goes on or takes all of it back', { ports: 4, ...prompt }, async (stage) => {
  const before = await stage.traces();
  for (let steps = 1, ended = false; !ended; steps += 3) {
    const first = await planned(stage, ['red']);
    ended = await stage.killedAfter(first, steps);
    if (steps % 2 === 1) {
      const second = await planned(stage, ['red']);
      const outcome = await stage.apply(second);
      assert.ok(['converged', undefined].includes(results(outcome).vm), `${steps}: ${JSON.stringify(outcome.targets)}`);
      assert.deepEqual(kinds(await planned(stage, ['red'])), [], `killed after ${steps}`);
    }
    const away = await planned(stage, []);
    const outcome = await stage.apply(away);
    assert.ok(['converged', undefined].includes(results(outcome).vm), `${steps}: ${JSON.stringify(outcome.targets)}`);
    assert.deepEqual(await stage.traces(), before, `killed after ${steps}: ${JSON.stringify(kinds(away))}`);
  }
});
