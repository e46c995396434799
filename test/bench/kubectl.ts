/** What `kubectl diff` takes for VMs that are as their manifests say. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { virtualMachines } from '../../reconcile/kube/resources.ts';
import { fleetObjects } from './fleet.ts';
import { finished, median } from './measure.ts';

/** VMs that are compared beyond the first, which bears what kubectl takes for itself. */
const sample = 20;

/** Milliseconds a VM, or why they can't be had. */
export async function kubectlDiffMsPerVm(
  folder: string,
  kubeconfig: string,
  vms: number,
  rounds: number,
): Promise<number | string> {
  if (spawnSync('kubectl', ['version', '--client']).status !== 0) {
    return 'there is no kubectl (Debian: kubernetes-client)';
  }
  if (vms < sample + 1) return `a fleet of ${vms} is too small`;
  const home = join(folder, 'kubectl');
  mkdirSync(home);
  const documents: string[] = [];
  for (const { plural, object } of fleetObjects(vms)) {
    if (plural !== virtualMachines.plural) continue;
    const { namespace, name, labels } = object.metadata;
    const { apiVersion, kind, spec } = object;
    documents.push(stringify({ apiVersion, kind, metadata: { namespace, name, labels }, spec }));
    if (documents.length > sample) break;
  }
  const one = join(home, 'one.yaml');
  const all = join(home, 'all.yaml');
  writeFileSync(one, documents[0] ?? '');
  writeFileSync(all, documents.join('---\n'));
  const timed = async (file: string): Promise<number> => {
    const began = performance.now();
    const env = { PATH: process.env.PATH ?? '', HOME: home, KUBECONFIG: kubeconfig };
    const { code, stderr } = await finished('kubectl', ['diff', '-f', file], env);
    // 1: it found a difference.
    if (code !== 0 && code !== 1) throw new Error(`kubectl diff ended with ${code}:\n${stderr}`);
    return performance.now() - began;
  };
  // Discovery is cached on the first call.
  await timed(one);
  const perVm: number[] = [];
  for (let round = 0; round < rounds; round += 1) perVm.push(((await timed(all)) - (await timed(one))) / sample);
  return median(perVm);
}
