/** Applies a plan from standard input, and prints a line once the run tells of a certain event: to be killed there. */
import { text } from 'node:stream/consumers';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { RunEvent } from '../reconcile/apply/model.ts';
import { connect } from '../reconcile/kube/connect.ts';
import type { Plan } from '../reconcile/plan/model.ts';

interface Job {
  readonly plan: Plan;
  readonly kubeconfig: string;
  readonly event: RunEvent['type'];
  readonly actionTimeoutMs: number;
}

const { plan, kubeconfig, event, actionTimeoutMs } = JSON.parse(await text(process.stdin)) as Job;
const cluster = await connect({ kubeconfig });
const options = { actionTimeoutMs, runTimeoutMs: 60_000, domainXml: 'auto' } as const;
await applyPlan(plan, cluster, options, ({ type }) => {
  if (type === event) process.stdout.write(`${type}\n`);
});
await cluster.close();
