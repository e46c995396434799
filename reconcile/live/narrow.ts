/** One reading of the cluster for more than one desired state, and what it is for one of them. */
import { objectKey } from '../vocabulary.ts';
import type { LiveState, UndeclaredVm } from './model.ts';
import type { Wanted } from './observe.ts';

/** VMs that were read for another desired state are to this one what VMs without an object are. */
export function narrowed(live: LiveState, { targets, pods, everywhere = false }: Wanted): LiveState {
  const wanted = new Set(targets.map(objectKey));
  const queries = new Set((pods ?? []).map(({ key }) => key));
  const namespaces = new Set(targets.map(({ namespace }) => namespace));
  const others = [...live.vms].filter(([key]) => !wanted.has(key)).map(([, vm]) => vm);
  const left = others.flatMap(({ namespace, name, nics, owned, source }): UndeclaredVm[] => {
    const kept = nics.filter((nic) => nic.state !== 'absent' && owned.includes(nic.name)).map((nic) => nic.name);
    return kept.length === 0 ? [] : [{ namespace, name, owned: kept, ...(source === undefined ? {} : { source }) }];
  });
  const undeclared = [...(live.undeclared ?? []), ...left]
    .filter(({ namespace }) => everywhere || namespaces.has(namespace))
    .sort((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
  return {
    ...live,
    vms: new Map([...live.vms].filter(([key]) => wanted.has(key))),
    undeclared,
    ...(live.pods === undefined
      ? {}
      : { pods: { ...live.pods, byQuery: new Map([...live.pods.byQuery].filter(([key]) => queries.has(key))) } }),
  };
}
