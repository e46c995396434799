/** The kubevirt path: one action on a VM as one patch of its template, followed through all layers. */
import { activeVmi } from '../diff/layers.ts';
import { PatchpanelError } from '../errors.ts';
import { networkAttachmentDefinitions, virtualMachines } from '../kube/resources.ts';
import { readDomain } from '../live/domain.ts';
import type { LiveVm } from '../live/model.ts';
import type { Action, VmPlan } from '../plan/model.ts';
import { type Reversal, reversalOf, type Taken } from '../plan/reversal.ts';
import { objectKey } from '../vocabulary.ts';
import { markHeld } from './hold.ts';
import { goalsOf } from './layers.ts';
import { takenBy } from './left-alone.ts';
import { requestRestart } from './restart.ts';
import type { Run } from './run.ts';
import { ensureFresh } from './staleness.ts';
import { afterReversal, type Verdict, verify } from './verify.ts';
import { waitFor } from './wait.ts';
import type { Work, WorkFailure } from './work.ts';
import { type Written, writeAction } from './write.ts';

export class VmWork implements Work<Action> {
  readonly #plan: VmPlan;
  readonly #run: Run;
  readonly #target: VmPlan['target'];
  readonly #taken: Taken<Action, LiveVm>[] = [];

  constructor(plan: VmPlan, run: Run) {
    this.#plan = plan;
    this.#run = run;
    this.#target = plan.target;
  }

  async carryOut(action: Action, isFirst: boolean): Promise<WorkFailure | undefined> {
    const run = this.#run;
    await run.observer.open(this.#target.namespace);
    if (isFirst) await ensureFresh(run.cluster, this.#plan, action, run.options.savedPlan === true);
    const live = run.observer.look(this.#target);
    if (live === undefined) throw new PatchpanelError('plan/stale', 'the VM is no longer there');
    const byMigration = comesByMigration(action, live);
    const written = await this.#write(action);
    if (written.wrote) run.writes += 1;
    this.#taken.push({ action, before: live });
    const result = await waitFor(
      {
        target: this.#target,
        action,
        goals: goalsOf(action, live),
        deadline: run.deadlineFor(byMigration),
        migrationDeadline: run.deadlineFor(true),
        pace: run.pace,
        stop: run.options.signal,
        ...(written.at === undefined ? {} : { writtenAt: written.at }),
      },
      run.observer,
      run.reasons,
      run.onEvent,
    );
    return result.kind === 'failed' ? result : undefined;
  }

  async #write(action: Action): Promise<Written> {
    const { cluster } = this.#run;
    const stamp = { ...this.#run.stamp, pruned: this.#plan.pruned === true };
    switch (action.kind) {
      case 'follow':
        return { wrote: false };
      case 'restart':
        return await requestRestart(cluster, this.#target, this.#plan.uid, action);
      default:
        return await writeAction(cluster, this.#target, this.#plan.uid, action, stamp, this.#keptFrom(action));
    }
  }

  /** What the run itself plugged it may take back. */
  #keptFrom(action: Action): readonly string[] {
    return this.#plan.actions.includes(action) ? takenBy(action) : [];
  }

  async verify(last: Action, restarted: boolean): Promise<Verdict> {
    return await verify(this.#plan, last, restarted, this.#run);
  }

  async reversal(): Promise<Reversal<Action>> {
    const { observer, cluster, options, promised } = this.#run;
    const live = observer.look(this.#target);
    if (live === undefined) return { actions: [], left: [] };
    const reads = options.domainXml !== 'never' && this.#taken.some(({ action }) => action.kind === 'unplug');
    const domain = reads ? await readDomain(cluster, live) : live.domain;
    return reversalOf(this.#taken, { ...live, domain }, promised, await this.#lostNetworks());
  }

  /** Networks that the way back leads to, and that are gone: their last user may just have been unplugged. */
  async #lostNetworks(): Promise<ReadonlySet<string>> {
    const left = this.#taken.filter(({ action }) => leaving.has(action.kind));
    const networks = left.flatMap(({ before }) => before.nics.flatMap(({ network }) => network ?? []));
    const lost = new Set<string>();
    for (const [key, { namespace, name }] of new Map(networks.map((network) => [objectKey(network), network]))) {
      const selection = { namespace, fieldSelector: `metadata.name=${name}` };
      try {
        const found = await this.#run.cluster.list(networkAttachmentDefinitions, selection, ({ metadata }) => metadata);
        if (found.items.length === 0) lost.add(key);
      } catch {
        // What can't be read is tried: the layers will tell.
      }
    }
    return lost;
  }

  async verifyReversed(back: readonly Action[], stuck: ReadonlySet<string>): Promise<Verdict> {
    const last = back.at(-1);
    if (last === undefined) return { verified: [] };
    return await verify(afterReversal(this.#plan, back, stuck), last, false, this.#run);
  }

  async hold(reason: string): Promise<void> {
    const { cluster, observer, stamp } = this.#run;
    const { uid, input = '' } = this.#plan;
    const live = observer.look(this.#target);
    const instance = live === undefined ? undefined : activeVmi(live)?.uid;
    const mark = { input, reason, ...(instance === undefined ? {} : { instance }) };
    await markHeld(cluster, virtualMachines, this.#target, uid, stamp, mark);
    this.#run.writes += 1;
  }
}

/** Actions by which a NIC leaves its network. */
const leaving: ReadonlySet<Action['kind']> = new Set(['unplug', 'swap', 'edit-template']);

function comesByMigration(action: Action, live: LiveVm): boolean {
  switch (action.kind) {
    case 'plug':
    case 'unplug':
      return action.delivery === 'migration';
    case 'swap':
    case 'restart':
      return true;
    case 'follow':
      return (
        action.until === 'swapped' ||
        live.vmi?.migrating === true ||
        live.vmi?.conditions.some(({ type, status }) => type === 'MigrationRequired' && status === 'True') === true ||
        live.nics.some((nic) => nic.name === action.attachment && nic.binding === 'sriov')
      );
    case 'link':
    case 'edit-template':
    case 'set-ports':
    case 'release':
      return false;
    default:
      return action satisfies never;
  }
}
