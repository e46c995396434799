/** `patchpanel inspect`: reads what an administrator pipes in; needs no cluster. */
import { type Command, Option } from 'commander';
import { type Inspected, inspectNetworks, inspectPorts, inspectStatus } from './inspect.ts';
import { addOutput } from './output-options.ts';
import type { Exit } from './program.ts';
import { print, readStandardInput } from './terminal.ts';

type Output = 'text' | 'json';

async function show(inspected: Inspected, exit: Exit): Promise<void> {
  if (inspected.stderr !== undefined) process.stderr.write(inspected.stderr);
  await print(inspected.stdout);
  exit.code = inspected.exitCode;
}

export function addInspect(program: Command, exit: Exit): void {
  const inspect = program
    .command('inspect')
    .summary('read domain XML, a networks annotation, or network-status from a pipe')
    .description(
      'Reads what other systems wrote, from standard input, and shows what patchpanel sees in it. Needs no cluster.',
    );

  addOutput(inspect.command('ports'), ['text', 'json'])
    .summary('PCIe ports of a live domain XML')
    .description('Shows every PCIe port of a libvirt domain: free, taken by what, or not hot-pluggable.')
    .option(
      '--model <model>',
      'NIC model to count for: virtio-transitional and e1000 need conventional PCI slots',
      'virtio',
    )
    .addHelpText(
      'after',
      `
Examples:
  kubectl exec -n prod POD -c compute -- virsh dumpxml prod_db-0 | patchpanel inspect ports
  virsh dumpxml web | patchpanel inspect ports --model e1000 -o json
`,
    )
    .action(async (flags: { output: Output; model: string }) => {
      await show(inspectPorts(readStandardInput('domain XML'), flags), exit);
    });

  addOutput(inspect.command('networks'), ['text', 'json'])
    .summary('a k8s.v1.cni.cncf.io/networks annotation')
    .description('Parses a networks annotation as one of three parsers does, and warns where they differ.')
    .requiredOption('--namespace <name>', 'namespace of the pod')
    .addOption(
      new Option('--parser <name>', 'whose reading to show')
        .choices(['multus', 'dynamic-controller', 'nad-client'])
        .default('dynamic-controller'),
    )
    .addHelpText(
      'after',
      `
Example:
  kubectl get pod -n prod POD -o jsonpath='{.metadata.annotations.k8s\\.v1\\.cni\\.cncf\\.io/networks}' |
    patchpanel inspect networks --namespace prod
`,
    )
    .action(
      async (flags: { output: Output; namespace: string; parser: 'multus' | 'dynamic-controller' | 'nad-client' }) => {
        await show(inspectNetworks(readStandardInput('a networks annotation'), flags), exit);
      },
    );

  addOutput(inspect.command('status'), ['text', 'json'])
    .summary('a k8s.v1.cni.cncf.io/network-status annotation')
    .description('Parses a network-status annotation.')
    .addHelpText(
      'after',
      `
Example:
  kubectl get pod -n prod POD -o jsonpath='{.metadata.annotations.k8s\\.v1\\.cni\\.cncf\\.io/network-status}' |
    patchpanel inspect status
`,
    )
    .action(async (flags: { output: Output }) => {
      await show(inspectStatus(readStandardInput('a network-status annotation'), flags), exit);
    });
}
