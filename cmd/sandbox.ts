/** `patchpanel sandbox`: an embedded cluster that runs until it is interrupted. */
import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { PatchpanelError } from '../reconcile/errors.ts';
import { type Fault, type FaultName, faultNames } from '../sandbox/contract.ts';
import { wholeNumber } from './cluster-options.ts';
import type { Exit } from './program.ts';
import { print } from './terminal.ts';

interface SandboxFlags {
  readonly kubeconfig: string;
  readonly port: number;
  readonly vms?: number;
  readonly load?: string;
  readonly withoutDynamicNetworks?: boolean;
  readonly fault?: readonly Fault[];
  readonly cniPlugins?: string;
  readonly speed: number;
}

function isFaultName(name: string): name is FaultName {
  return (faultNames as readonly string[]).includes(name);
}

function fault(text: string, previous: readonly Fault[] = []): readonly Fault[] {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (!isFaultName(name)) throw new InvalidArgumentError(`The faults are ${faultNames.join(', ')}.`);
  const value = at < 0 ? '' : text.slice(at + 1);
  if (name === 'api-errors' && !(Number(value) > 0 && Number(value) < 1)) {
    throw new InvalidArgumentError('api-errors takes a share of the requests, such as api-errors=0.1.');
  }
  if (name === 'watch-cut' && !/^[1-9]\d{0,8}$/.test(value)) {
    throw new InvalidArgumentError('watch-cut takes milliseconds, such as watch-cut=2000.');
  }
  if (value === '') {
    throw new InvalidArgumentError(
      `${name} needs the name of what it strikes, or * for all: ${name}=*. The faults are ${faultNames.join(', ')}.`,
    );
  }
  return [...previous, { name, value }];
}

export function addSandbox(program: Command, _exit: Exit): void {
  program
    .command('sandbox')
    .summary('run an embedded cluster to try things on')
    .description(
      'Runs a Kubernetes API on loopback with actors that play Multus, KubeVirt and libvirt, until it is interrupted. ' +
        'kubectl and patchpanel work against it as against a cluster.',
    )
    .requiredOption('--kubeconfig <file>', 'file to write the kubeconfig to')
    .option('--port <number>', 'port to listen on; 0 is any free one', wholeNumber(0), 0)
    .option('--vms <number>', 'so many running VMs in namespace fleet, besides the demo VMs', wholeNumber(0))
    .option('--load <folder>', 'create the manifests of a folder')
    .option('--without-dynamic-networks', 'leave the dynamic-networks controller out: changes wait for a migration')
    .option('--cni-plugins <folder>', 'serve pods that are no launchers by real CNI plugins; needs root')
    .option('--fault <name=value>', `make something go wrong; repeatable: ${faultNames.join(', ')}`, fault)
    .option('--speed <number>', 'divide every delay by this', wholeNumber(1), 1)
    .addHelpText(
      'after',
      `
Examples:
  patchpanel sandbox --kubeconfig /tmp/sandbox.kubeconfig
  kubectl --kubeconfig /tmp/sandbox.kubeconfig get vm,vmi,pods -A
  patchpanel plan examples/desired-state --kubeconfig /tmp/sandbox.kubeconfig
  patchpanel sandbox --kubeconfig /tmp/s.kubeconfig --fault no-unplug=backup --fault cni-add-fails=demo/storage-net
`,
    )
    .action(async (flags: SandboxFlags) => {
      const { startSandbox } = await import('../sandbox/sandbox.ts');
      const sandbox = await startSandbox({
        port: flags.port,
        dynamicNetworks: flags.withoutDynamicNetworks !== true,
        faults: flags.fault ?? [],
        speed: flags.speed,
        ...(flags.vms === undefined ? {} : { vms: flags.vms }),
        ...(flags.load === undefined ? {} : { load: flags.load }),
        ...(flags.cniPlugins === undefined ? {} : { cniPlugins: flags.cniPlugins }),
      });
      // Listened for before anybody is told that it runs.
      const end = interrupted();
      try {
        writeKubeconfig(flags.kubeconfig, sandbox.kubeconfig);
        await print(
          `${[
            `sandbox at ${sandbox.api.url}, kubeconfig in ${flags.kubeconfig}`,
            '',
            ...sandbox.contents.map((line) => `  ${line}`),
            '',
            'Try, in another terminal:',
            `  export KUBECONFIG=${flags.kubeconfig}`,
            '  kubectl get vm,vmi,pods -A',
            '  npx patchpanel plan examples/desired-state',
            '  npx patchpanel apply examples/desired-state',
            '',
            'Ctrl-C ends it.',
          ].join('\n')}\n`,
        );
        await end;
      } finally {
        await sandbox.stop();
      }
    });
}

function writeKubeconfig(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 });
  } catch (cause) {
    throw new PatchpanelError('cli/input', `the kubeconfig can not be written to ${file}`, {
      cause,
      remedy: 'Name a file in a folder that exists and that you may write to.',
    });
  }
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}
