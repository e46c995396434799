/** `patchpanel render`: the desired state after rendering and checking, as it would be planned. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { DesiredPods, DesiredState, DesiredTarget } from '../reconcile/desired/model.ts';
import { load } from '../reconcile/run.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, print } from './terminal.ts';

interface RenderFlags extends SourceFlags, LogFlags {
  readonly output: 'yaml' | 'json';
}

export function addRender(program: Command, _exit: Exit): void {
  const command = program
    .command('render')
    .summary('print the desired state after rendering')
    .description('Renders YAML and Jsonnet, checks everything, and prints the objects in full. Needs no cluster.')
    .argument('[source]', sourceHelp, '.');
  addLogFormat(addOutput(addSourceOptions(command), ['yaml', 'json']))
    .addHelpText(
      'after',
      `
Examples:
  patchpanel render examples/desired-state
  patchpanel render https://git.example.com/net/vms.git --ref main --path prod -o json
  patchpanel render . --ext-str site=berlin
`,
    )
    .action(async (source: string, flags: RenderFlags) => {
      const progress = makeProgress(flags.logFormat);
      const desired = await load(desiredSource(source, flags), loadOptions(flags), progress.onEvent);
      const objects = renderedObjects(desired);
      await print(
        flags.output === 'json'
          ? `${JSON.stringify(objects, undefined, 2)}\n`
          : objects.map((object) => `---\n${stringify(object)}`).join(''),
      );
    });
}

/** The objects in the form in which a repository would declare them, every default written out. */
function renderedObjects(desired: DesiredState): object[] {
  return [...desired.targets.map(renderedObject), ...(desired.pods ?? []).map(renderedPods)];
}

function renderedObject({ target, pciePorts, attachments }: DesiredTarget): object {
  return {
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name: target.name, namespace: target.namespace },
    spec: {
      target: { kind: target.kind, name: target.name },
      ...(pciePorts === undefined ? {} : { pciePorts }),
      attachments: attachments.map(({ name, network, mac, binding, model, state }) => ({
        name,
        network: `${network.namespace}/${network.name}`,
        ...(mac === undefined ? {} : { mac }),
        binding,
        ...(model === undefined ? {} : { model }),
        state,
      })),
    },
  };
}

function renderedPods({ query, name, selector, repair, domain, attachments }: DesiredPods): object {
  return {
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name, namespace: query.namespace },
    spec: {
      target: {
        kind: 'Pod',
        ...(selector === undefined ? { name } : { selector }),
        ...(domain === undefined ? {} : { domain }),
      },
      repair,
      attachments: attachments.map((one) => ({
        name: one.name,
        network: `${one.network.namespace}/${one.network.name}`,
        interface: one.interface,
        ...(one.mac === undefined ? {} : { mac: one.mac }),
        ...(one.ips === undefined ? {} : { ips: one.ips }),
        ...(domain === undefined ? {} : { model: one.model ?? 'virtio', state: one.state }),
      })),
    },
  };
}
