/** The options by which verbs find a cluster, as kubectl spells them. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import type { ObjectName } from '../reconcile/vocabulary.ts';

export interface ClusterAccessFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly qps: number;
}

export interface ClusterFlags extends ClusterAccessFlags {
  readonly domainXml: 'auto' | 'always' | 'never';
}

/** A whole number of at least `least`, for an option. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < least) {
      throw new InvalidArgumentError(`It must be a whole number, ${least} or more.`);
    }
    return number;
  };
}

/** What every verb that asks a cluster has. */
function addClusterAccess(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'kubeconfig; default KUBECONFIG, ~/.kube/config, or the service account of the pod')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--qps <number>', 'requests a second to the API server, at most', wholeNumber(1), 50);
}

export function addClusterOptions(command: Command): Command {
  return addClusterAccess(command.optionsGroup('Cluster:'))
    .addOption(
      new Option(
        '--domain-xml <when>',
        'read the libvirt domain XML by exec: of VMs with a difference, of all, or never',
      )
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .optionsGroup('');
}

/** Opens the cluster that the options name; the Kubernetes client is loaded only here. */
export async function openCluster(flags: ClusterAccessFlags): Promise<Cluster> {
  const { connect } = await import('../reconcile/kube/connect.ts');
  return await connect({ kubeconfig: flags.kubeconfig, context: flags.context, qps: flags.qps, burst: flags.qps * 2 });
}

/** `name`, or `namespace/name`. */
export function objectName(text: string, namespace: string): ObjectName {
  const slash = text.indexOf('/');
  return slash < 0 ? { namespace, name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}
