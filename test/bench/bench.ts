/**
 * Measures the plan of a fleet that has nothing to do, beside the floor and `kubectl diff`: `npm run bench`, or
 * `node test/bench/bench.ts --help`. What is compared runs in turn, each in a process of its own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { kubeconfigOf } from '../../sandbox/kubeconfig.ts';
import { fleetNamespace } from '../../sandbox/kubevirt/fleet.ts';
import { type ClusterName, type ClusterReady, clusterNames, type RequestCount } from './contract.ts';
import { writeRepository } from './fleet.ts';
import { kubectlDiffMsPerVm } from './kubectl.ts';
import { type Measurement, median, Programs } from './measure.ts';
import { type SizeResult, table } from './table.ts';

const help = `Usage: node test/bench/bench.ts [options]

  --sizes N,N,...  VMs of the fleets (100,1000,10000; on kube-apiserver 100,1000)
  --rounds N       how often each is measured; the median counts (3)
  --on CLUSTER     sandbox (default) or kube-apiserver
  --json           the result as JSON on standard output, in place of the table
  --cpu-prof DIR   write CPU profiles of both sides there
  --no-kubectl     leave kubectl diff out
`;

const root = join(import.meta.dirname, '../..');
const entry = join(root, 'dist/cmd/patchpanel.js');

interface Options {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly on: ClusterName;
  readonly json: boolean;
  readonly profile: string | undefined;
  readonly kubectl: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      on: { type: 'string', default: 'sandbox' },
      json: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      'no-kubectl': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const on = clusterNames.find((name) => name === values.on);
  if (on === undefined) throw new Error(`--on takes ${clusterNames.join(' or ')}`);
  const sizes = (values.sizes ?? (on === 'sandbox' ? '100,1000,10000' : '100,1000')).split(',').map(count);
  return {
    sizes,
    rounds: count(values.rounds),
    on,
    json: values.json,
    profile: values['cpu-prof'],
    kubectl: !values['no-kubectl'],
  };
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${JSON.stringify(text)} is no number of VMs or rounds`);
  return Number(text);
}

/** A fleet on a cluster of its own. */
class Fleet {
  readonly #child: ChildProcess;

  constructor(on: ClusterName, vms: number) {
    this.#child = fork(join(import.meta.dirname, 'cluster.ts'), [on, String(vms)], {
      execArgv: ['--max-old-space-size=8192'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  async ready(): Promise<ClusterReady> {
    return (await this.#message()) as ClusterReady;
  }

  async requests(): Promise<RequestCount> {
    this.#child.send('count');
    return (await this.#message()) as RequestCount;
  }

  async #message(): Promise<unknown> {
    const ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the cluster ended with ${code}`);
    });
    const [message] = await Promise.race([once(this.#child, 'message'), ended]);
    return message;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }
}

async function measure(vms: number, options: Options, programs: Programs, folder: string): Promise<SizeResult> {
  const fleet = new Fleet(options.on, vms);
  const place = join(folder, String(vms));
  const repository = join(place, 'repository');
  mkdirSync(repository, { recursive: true });
  try {
    const { server, ca, token, name, bytesPerVm } = await fleet.ready();
    writeRepository(repository, vms);
    const kubeconfig = join(place, 'kubeconfig');
    writeFileSync(kubeconfig, kubeconfigOf({ server, certificate: ca, token }), { mode: 0o600 });
    const floorArgs = [JSON.stringify({ server, ca, token, folder: repository, namespace: fleetNamespace })];
    const floor = (): Promise<Measurement> => programs.run(programs.path('floor'), floorArgs, {});
    const plan = (): Promise<Measurement> => programs.run(entry, ['plan', repository], { KUBECONFIG: kubeconfig });
    // The first time a server serialises what it then keeps, for either side.
    await floor();
    await plan();
    await fleet.requests();
    const floors: Measurement[] = [];
    const plans: Measurement[] = [];
    let asked: RequestCount = { requests: 0, writes: 0 };
    for (let round = 0; round < options.rounds; round += 1) {
      floors.push(await floor());
      await fleet.requests();
      plans.push(await plan());
      asked = await fleet.requests();
    }
    const expected = { documents: vms, objects: vms * 3 };
    for (const { stdout } of floors) {
      if (stdout.trim() !== JSON.stringify(expected)) throw new Error(`the floor read ${stdout}`);
    }
    const kubectl = options.kubectl ? await kubectlDiffMsPerVm(place, kubeconfig, vms, options.rounds) : 'left out';
    return { vms, cluster: name, bytesPerVm, floors, plans, ...asked, kubectl };
  } finally {
    await fleet.stop();
  }
}

function summary(results: readonly SizeResult[]): object {
  const perVm = results.map(({ kubectl }) => kubectl).findLast((each) => typeof each === 'number');
  return {
    sizes: results.map(({ vms, floors, plans, requests, writes }) => {
      const floorMs = median(floors.map(({ ms }) => ms));
      const planMs = median(plans.map(({ ms }) => ms));
      return {
        vms,
        floorMs: Math.round(floorMs),
        planMs: Math.round(planMs),
        ratio: Number(median(plans.map(({ ms }, round) => ms / (floors[round]?.ms ?? ms))).toFixed(3)),
        rssMiB: Math.round(median(plans.map(({ rssMiB }) => rssMiB))),
        requests,
        writes,
      };
    }),
    kubectlDiffMsPerVm: perVm === undefined ? null : Number(perVm.toFixed(1)),
  };
}

const options = readOptions();
if (options === undefined) process.stdout.write(help);
else if (!existsSync(entry)) throw new Error(`${entry} is not there: npm run build`);
else {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-bench-'));
  try {
    const programs = new Programs(folder, options.profile);
    const results: SizeResult[] = [];
    for (const vms of options.sizes) results.push(await measure(vms, options, programs, folder));
    process.stdout.write(options.json ? `${JSON.stringify(summary(results))}\n` : table(results));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
