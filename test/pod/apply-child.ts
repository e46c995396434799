/** Applies a plan from standard input, and gets stuck after so many writes and commands: to be killed there. */
import { text } from 'node:stream/consumers';
import { applyPlan } from '../../reconcile/apply/apply.ts';
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { connect } from '../../reconcile/kube/connect.ts';
import type { Plan } from '../../reconcile/plan/model.ts';

interface Job {
  readonly plan: Plan;
  readonly kubeconfig: string;
  readonly steps: number;
}

const { plan, kubeconfig, steps } = JSON.parse(await text(process.stdin)) as Job;
const cluster = await connect({ kubeconfig });
let taken = 0;

async function counted<T>(work: () => Promise<T>): Promise<T> {
  if (taken >= steps) {
    process.stdout.write('stuck\n');
    return await new Promise(() => {});
  }
  const result = await work();
  taken += 1;
  return result;
}

const halting: Cluster = new Proxy(cluster, {
  get(target, key) {
    if (key === 'exec') return (...args: Parameters<Cluster['exec']>) => counted(() => target.exec(...args));
    if (key === 'jsonPatch')
      return (...args: Parameters<Cluster['jsonPatch']>) => counted(() => target.jsonPatch(...args));
    const value: unknown = Reflect.get(target, key, target);
    return typeof value === 'function' ? value.bind(target) : value;
  },
});
const pace = { reportGraceMs: 100, pollMs: 50 };
await applyPlan(plan, halting, { actionTimeoutMs: 30_000, runTimeoutMs: 60_000, domainXml: 'auto', pace }, () => {});
process.stdout.write('ended\n');
await cluster.close();
