/** What the end-to-end tests of apply share beside their scenarios: readings of an outcome, and hands that interfere. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import type { Nic, Scenario, Stage } from './apply-scenario.ts';

/** NICs by VM. */
export type Vms = Readonly<Record<string, readonly Nic[]>>;

/** A namespace of its own with running VMs; one, db-0, where none is named. */
export async function withVm(here: Stage, namespace: string, ...names: readonly string[]): Promise<Scenario> {
  const scenario = await here.scenario(namespace);
  await Promise.all((names.length === 0 ? ['db-0'] : names).map((name) => scenario.vm(name)));
  return scenario;
}

export function results(outcome: Outcome): Record<string, string> {
  return Object.fromEntries(outcome.targets.map(({ target, result }) => [target.name, result]));
}

export function kinds(plan: Plan): string[] {
  return plan.targets.flatMap(({ actions }) => actions.map(({ kind }) => kind));
}

export function failure(outcome: Outcome): {
  readonly layer?: string;
  readonly reason?: string;
  readonly code?: string;
} {
  const failed = outcome.targets.flatMap(({ actions }) => actions).find(({ result }) => result === 'failed');
  assert.ok(failed !== undefined, JSON.stringify(outcome));
  return {
    ...(failed.laggingLayer === undefined ? {} : { layer: failed.laggingLayer }),
    ...(failed.reason === undefined ? {} : { reason: failed.reason }),
    ...(failed.code === undefined ? {} : { code: failed.code }),
  };
}

/** A client whose JSON patches pass through a hand of the test's own. */
export function intercepted(
  cluster: Cluster,
  patch: (send: () => ReturnType<Cluster['jsonPatch']>) => ReturnType<Cluster['jsonPatch']>,
): Cluster {
  return new Proxy(cluster, {
    get(target, key) {
      if (key === 'jsonPatch') {
        return (...parameters: Parameters<Cluster['jsonPatch']>) => patch(() => target.jsonPatch(...parameters));
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Ends all misbehaviour; guests look again. */
export async function heal({ cluster }: Stage): Promise<void> {
  await cluster.misbehave();
}

/** What a client throws when the connection breaks before the answer. */
export async function unreachable(): Promise<unknown> {
  const nowhere = await connect({ server: 'http://127.0.0.1:1', retries: 0 });
  try {
    await nowhere.raw('/version');
  } catch (error) {
    return error;
  } finally {
    await nowhere.close();
  }
  return assert.fail('port 1 answers');
}

/** Applies in a process of its own, which is killed outright once the run tells of such an event. */
export async function killedAfter(
  plan: Plan,
  kubeconfig: string,
  event: RunEvent['type'],
  actionTimeoutMs = 20_000,
): Promise<void> {
  const child = spawn(process.execPath, [new URL('apply-child.ts', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const job = { plan, kubeconfig, event, actionTimeoutMs };
  child.stdin.end(JSON.stringify(job));
  let told = '';
  child.stdout.on('data', (text) => {
    told += text;
    child.kill('SIGKILL');
  });
  await once(child, 'exit');
  assert.match(told, new RegExp(event), 'the run came to its end before it could be killed');
}
