/** `patchpanel adopt`: the desired state of what runs now, and on demand the record that it is patchpanel's. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { type NewFile, writeFiles } from '../reconcile/adopt/files.ts';
import { type Taking, takeOwnership } from '../reconcile/adopt/take.ts';
import { type ExitCode, exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import {
  adoptedFiles,
  adoptedYaml,
  adoptionNotices,
  settingsYaml,
  takingLines,
} from '../reconcile/report/adopted-yaml.ts';
import { type Adopting, type Adoption, adopt } from '../reconcile/run.ts';
import { addClusterOptions, type ClusterFlags, objectName, openCluster } from './cluster-options.ts';
import { addLogFormat, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { makeProgress, messageStyle, outputStyle, print } from './terminal.ts';

interface AdoptFlags extends ClusterFlags, LogFlags {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly to?: string;
  readonly force?: boolean;
  readonly settings?: boolean;
  readonly take?: boolean;
  readonly yes?: boolean;
}

export function addAdopt(program: Command, exit: Exit): void {
  const command = program
    .command('adopt')
    .summary('write the desired state of what runs now')
    .description(
      'Writes what runs as a desired state, one object a VM; what it has no words for becomes a comment. ' +
        'Planning it finds nothing to do. Nothing is written to the cluster, unless --take records the NICs as those of patchpanel.',
    )
    .argument('[vm...]', 'VMs by name, or namespace/name')
    .option('-n, --namespace <name>', 'namespace of VMs that name none; alone, all of its VMs')
    .option('-A, --all-namespaces', 'the VMs of all namespaces')
    .option('-l, --selector <labels>', 'only VMs with these labels, such as app=db');
  addLogFormat(addClusterOptions(command))
    .option('--to <folder>', 'write a file for each VM, NAMESPACE/NAME.yaml, instead of standard output')
    .option('--force', 'overwrite files that are there')
    .option('--settings', 'write a Settings object too, with the defaults')
    .option('--take', "record the declared NICs as patchpanel's, which unplugs them once they are no longer declared")
    .option('--yes', 'do not ask before --take writes to the cluster')
    .addHelpText(
      'after',
      `
Exit code 0: written; 4: some VMs were not taken; 1, 3: see patchpanel --help.

Examples:
  patchpanel adopt db-0 -n prod
  patchpanel adopt -n prod --to network/vms --settings
  patchpanel adopt -A -l team=storage --to network/vms
  patchpanel adopt prod/db-0 --take
`,
    )
    .action(async (vms: readonly string[], flags: AdoptFlags) => {
      exit.code = await adoptVerb(vms, flags);
    });
}

async function adoptVerb(vms: readonly string[], flags: AdoptFlags): Promise<ExitCode> {
  const adopting = adoptingOf(vms, flags);
  const progress = makeProgress(flags.logFormat);
  const cluster = await openCluster(flags);
  try {
    const adoption = await adopt(adopting, cluster, flags.domainXml, progress.onEvent);
    progress.close();
    await write(adoption, flags);
    for (const line of adoptionNotices(adoption)) process.stderr.write(`${messageStyle().changed('note')}  ${line}\n`);
    return flags.take === true ? await take(adoption.takings, cluster, flags) : exitCodes.ok;
  } finally {
    progress.close();
    await cluster.close();
  }
}

function adoptingOf(vms: readonly string[], { namespace, allNamespaces, selector }: AdoptFlags): Adopting {
  if (vms.length > 0) {
    if (allNamespaces === true || selector !== undefined) {
      throw new PatchpanelError('cli/usage', 'VMs are chosen by name, or by --all-namespaces and --selector');
    }
    return { vms: vms.map((vm) => objectName(vm, namespace ?? 'default')) };
  }
  if (allNamespaces === true && namespace !== undefined) {
    throw new PatchpanelError('cli/usage', '--namespace and --all-namespaces exclude each other');
  }
  if (allNamespaces !== true && namespace === undefined && selector === undefined) {
    throw new PatchpanelError('cli/usage', 'no VM is named', {
      remedy: 'Name VMs, or give --namespace, --selector or --all-namespaces.',
    });
  }
  return {
    ...(allNamespaces === true ? {} : { namespace: namespace ?? 'default' }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  };
}

/** To files, or to standard output; --take alone writes neither. */
async function write({ adopted }: Adoption, { to, force, settings, take: taking }: AdoptFlags): Promise<void> {
  const policy: readonly NewFile[] = settings === true ? [{ path: 'settings.yaml', content: settingsYaml() }] : [];
  if (to !== undefined) {
    const written = await writeFiles(to, [...policy, ...adoptedFiles(adopted)], force === true);
    for (const { path, result } of written) await print(`${result.padEnd(9)}  ${to}/${path}\n`);
    return;
  }
  if (taking === true) return;
  const documents = [...policy.map(({ content }) => content), ...adopted.map(adoptedYaml)];
  await print(documents.join('---\n'));
}

async function take(takings: readonly Taking[], cluster: Cluster, flags: AdoptFlags): Promise<ExitCode> {
  for (const line of takingLines(takings, outputStyle())) await print(`${line}\n`);
  const open = takings.filter(({ refused }) => refused === undefined);
  if (open.length > 0) {
    if (flags.yes !== true) await confirm();
    for (const taking of open) await takeOwnership(cluster, taking);
    await print(`Recorded on ${open.length} VM${open.length === 1 ? '' : 's'}.\n`);
  }
  return open.length < takings.length ? exitCodes.blocked : exitCodes.ok;
}

/** @throws PatchpanelError where nobody is there to say yes, or says no */
async function confirm(): Promise<void> {
  const remedy = 'Run it again with --yes to record what is listed.';
  if (!process.stdin.isTTY)
    throw new PatchpanelError('cli/usage', 'nothing was recorded: nobody can be asked', { remedy });
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question("Record these as patchpanel's? [y/N] ");
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  throw new PatchpanelError('cli/usage', 'nothing was recorded', { remedy });
}
