/**
 * The measured cluster: `cluster.ts sandbox|kube-apiserver COUNT`, started by bench.ts with a channel to talk over. It is a
 * process of its own, so that neither its memory nor its time is taken for patchpanel's.
 */
import type { AuditEntry } from '../../sandbox/api/contract.ts';
import { plant } from '../../sandbox/kubevirt/fleet.ts';
import { assembleSandbox } from '../../sandbox/sandbox.ts';
import type { ClusterReady, RequestCount } from './contract.ts';
import { fleetObjects } from './fleet.ts';

interface Running {
  readonly ready: Omit<ClusterReady, 'bytesPerVm'>;
  requests(): readonly AuditEntry[];
  stop(): Promise<void>;
}

async function startSandbox(count: number): Promise<Running> {
  let audit: AuditEntry[] = [];
  const sandbox = await assembleSandbox({ actors: false, onRequest: (entry) => audit.push(entry) });
  plant(sandbox.api.store, fleetObjects(count));
  return {
    ready: { server: sandbox.api.url, ca: sandbox.ca, token: sandbox.adminToken, name: 'sandbox' },
    requests() {
      const taken = audit;
      audit = [];
      return taken;
    },
    stop: () => sandbox.stop(),
  };
}

function bytesPerVm(): number {
  let bytes = 0;
  for (const { plural, object } of fleetObjects(1)) {
    if (/^(virtualmachines|virtualmachineinstances|pods)$/.test(plural)) bytes += JSON.stringify(object).length;
  }
  return bytes;
}

const [name, count] = process.argv.slice(2);
const running =
  name === 'sandbox'
    ? await startSandbox(Number(count))
    : await (await import('./real-fleet.ts')).startRealFleet(Number(count));
process.on('message', () => {
  const entries = running.requests();
  const writes = entries.filter(({ method }) => method !== 'GET').length;
  process.send?.({ requests: entries.length, writes } satisfies RequestCount);
});
// The benchmark ended, in whatever way.
process.once('disconnect', () => void running.stop().finally(() => process.exit()));
process.send?.({ ...running.ready, bytesPerVm: bytesPerVm() } satisfies ClusterReady);
