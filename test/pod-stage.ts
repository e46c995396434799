/** Plain pods on the sandbox, and plans for them written by hand: what is tested is how a plan is carried out. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApplyOptions, applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import { defaultSettings } from '../reconcile/desired/model.ts';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { pods } from '../reconcile/kube/resources.ts';
import type { Plan, PodPlan } from '../reconcile/plan/model.ts';
import type { OwnedElement, PlannedElement, PodAction } from '../reconcile/plan/pod-model.ts';
import { networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import { networkStatusAnnotation, parseNetworkStatus } from '../reconcile/systems/multus-status.ts';
import { ownedAnnotation } from '../reconcile/systems/patchpanel.ts';
import { applyOptions, type Scenario } from './apply-scenario.ts';

/** Without `id` and `after`, which follow from the place in the plan. */
export type Step = PodAction extends infer A ? (A extends PodAction ? Omit<A, 'id' | 'after'> : never) : never;

export class PodScenario {
  /** Who prepares and interferes, and who applies. */
  readonly cluster: Cluster;
  readonly writer: Cluster;
  readonly namespace: string;

  constructor({ admin, cluster, namespace }: Pick<Scenario, 'admin' | 'cluster' | 'namespace'>) {
    this.cluster = admin;
    this.writer = cluster;
    this.namespace = namespace;
  }

  /** Creates a pod and waits until it runs and has its network-status. */
  async pod(name: string, networks?: string): Promise<KubeObject> {
    const annotations = networks === undefined ? {} : { [networksAnnotation]: networks };
    await this.cluster.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: this.namespace, name, annotations },
      spec: { containers: [{ name: 'main', image: 'example.com/router:1' }] },
    });
    return await this.until(name, ({ metadata, status }) => {
      const { phase } = status as { readonly phase?: string };
      return phase === 'Running' && metadata.annotations?.[networkStatusAnnotation] !== undefined;
    });
  }

  async read(name: string): Promise<KubeObject> {
    const pod = await this.cluster.get(pods, this.namespace, name);
    assert.ok(pod !== undefined);
    return pod;
  }

  async until(name: string, holds: (pod: KubeObject) => boolean): Promise<KubeObject> {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const pod = await this.cluster.get(pods, this.namespace, name);
      if (pod !== undefined && holds(pod)) return pod;
      await sleep(25);
    }
    return assert.fail(`${this.namespace}/${name} did not come to be as it should`);
  }

  /** Interfaces in network-status, sorted, each with its network. */
  async interfaces(name: string): Promise<readonly string[]> {
    const { metadata } = await this.read(name);
    const parsed = parseNetworkStatus(metadata.annotations?.[networkStatusAnnotation] ?? '');
    assert.ok(parsed.ok);
    return parsed.entries.map((entry) => `${entry.interface} ${entry.name}`).sort();
  }

  async networks(name: string): Promise<string | undefined> {
    return (await this.read(name)).metadata.annotations?.[networksAnnotation];
  }

  async owned(name: string): Promise<readonly string[] | undefined> {
    const record = (await this.read(name)).metadata.annotations?.[ownedAnnotation];
    return record === undefined ? undefined : (JSON.parse(record) as readonly OwnedElement[]).map((each) => each.name);
  }

  element(name: string, on = 'vlan10', extra: Partial<PlannedElement> = {}): PlannedElement {
    return { name, network: { namespace: this.namespace, name: on }, interface: `pp-${name}`, ...extra };
  }

  plan(
    pod: KubeObject,
    steps: readonly Step[],
    declared: readonly PlannedElement[],
    extra: Partial<PodPlan> = {},
  ): Plan {
    const { name } = pod.metadata;
    const actions = steps.map(
      (step, index): PodAction => ({ id: `pod/${this.namespace}/${name}/${index + 1}`, after: [], ...step }),
    );
    const target: PodPlan = {
      target: { kind: 'Pod', namespace: this.namespace, name },
      ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
      position: { file: 'pods.yaml', line: 1, column: 1 },
      runState: 'running',
      differences: [],
      actions,
      blockers: [],
      notes: [],
      unmanaged: [],
      declared,
      read: { digest: '', fields: null },
      ...extra,
    };
    return {
      version: 'patchpanel.dev/plan/v1alpha1',
      source: { kind: 'folder', path: '.', digest: '00' },
      cluster: { server: '', delivery: 'in-place', deliveryEvidence: '' },
      settings: { ...defaultSettings, maxInFlight: 10 },
      targets: [target],
      summary: { vms: 0, pods: 1, unchanged: 0, changed: 1, blocked: 0, plugs: 0, unplugs: 0, others: 0 },
    };
  }

  async apply(
    plan: Plan,
    options: Partial<ApplyOptions> = {},
    cluster = this.writer,
  ): Promise<{ readonly outcome: Outcome; readonly events: readonly RunEvent[] }> {
    const events: RunEvent[] = [];
    const pace = { reportGraceMs: 200, pollMs: 50, ...options.pace };
    const outcome = await applyPlan(plan, cluster, applyOptions({ ...options, pace }), (event) => events.push(event));
    return { outcome, events };
  }
}
