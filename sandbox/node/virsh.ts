/** What `virsh` answers in the `compute` container of a launcher pod: the few verbs that read. */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { computeContainer } from '../../reconcile/systems/kubevirt-names.ts';
import type { ExecHandler } from '../api/contract.ts';
import { domainXml } from './domain-xml.ts';
import { type Domain, nics } from './libvirt-model.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * An exec handler for launcher pods.
 * @param domainOf the domain that runs in a pod; undefined where none does
 */
export function virshExec(domainOf: (namespace: string, pod: KubeObject) => Domain | undefined): ExecHandler {
  return async ({ namespace, pod, container, command }) => {
    if (container !== computeContainer) return undefined;
    const domain = domainOf(namespace, pod);
    return runCommand(command, domain === undefined ? [] : [domain]);
  };
}

/** Runs an argument array where the given domains run. */
export function runCommand(command: readonly string[], domains: readonly Domain[]): CommandResult {
  const [program = '', ...rest] = command;
  if (program.split('/').at(-1) !== 'virsh') return commandNotFound(program);
  const [verb, ...args] = afterGlobalOptions(rest);
  switch (verb) {
    case 'dumpxml':
      return withDomain(
        verb,
        args,
        domains,
        ['--inactive', '--security-info', '--update-cpu', '--migratable'],
        domainXml,
      );
    case 'domiflist':
      return withDomain(verb, args, domains, ['--inactive'], interfaceTable);
    case 'domstate':
      return withDomain(verb, args, domains, ['--reason'], (domain) => `${domain.paused ? 'paused' : 'running'}\n\n`);
    case 'list':
      return listDomains(args, domains);
    case undefined:
      return fail('error: no command');
    default:
      return fail(`error: unknown command: '${verb}'`);
  }
}

/** Options before the verb; those of two words take the second with them. */
function afterGlobalOptions(args: readonly string[]): readonly string[] {
  const [first, ...rest] = args;
  if (first === '-c' || first === '--connect') return afterGlobalOptions(rest.slice(1));
  if (first?.startsWith('-')) return afterGlobalOptions(rest);
  return args;
}

function withDomain(
  verb: string,
  args: readonly string[],
  domains: readonly Domain[],
  options: readonly string[],
  answer: (domain: Domain) => string,
): CommandResult {
  const names: string[] = [];
  for (const argument of args) {
    if (argument === '--domain' || options.includes(argument)) continue;
    if (argument.startsWith('--domain=')) names.push(argument.slice('--domain='.length));
    else if (argument.startsWith('--')) return fail(`error: command '${verb}' doesn't support option ${argument}`);
    else names.push(argument);
  }
  const [name, surplus] = names;
  if (name === undefined) return fail(`error: command '${verb}' requires <domain> option`);
  if (surplus !== undefined) return fail(`error: unexpected data '${surplus}'`);
  const domain = domains.find(
    (candidate) => candidate.name === name || candidate.uuid === name || String(candidate.id) === name,
  );
  if (!domain) return fail(`error: failed to get domain '${name}'`);
  const text = answer(domain);
  return succeed(text.endsWith('\n\n') ? text : `${text}\n`);
}

function listDomains(args: readonly string[], domains: readonly Domain[]): CommandResult {
  const known = ['--name', '--all', '--uuid', '--id'];
  const unknown = args.find((argument) => !known.includes(argument));
  if (unknown !== undefined) return fail(`error: command 'list' doesn't support option ${unknown}`);
  if (args.includes('--name')) return succeed(`${domains.map(({ name }) => `${name}\n`).join('')}\n`);
  if (args.includes('--uuid')) return succeed(`${domains.map(({ uuid }) => `${uuid}\n`).join('')}\n`);
  const rows = domains.map(({ id, name, paused }) => [String(id), name, paused ? 'paused' : 'running']);
  return succeed(`${table(['Id', 'Name', 'State'], rows)}\n`);
}

function interfaceTable(domain: Domain): string {
  const rows = nics(domain).map((nic) => [nic.target ?? '-', nic.type, '-', nic.model, nic.mac]);
  return table(['Interface', 'Type', 'Source', 'Model', 'MAC'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    ` ${cells
      .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3))
      .join('')
      .trimEnd()}\n`;
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 3, 1));
  return `${line(head)}${rule}\n${rows.map(line).join('')}`;
}

function succeed(stdout: string): CommandResult {
  return { exitCode: 0, stdout, stderr: '' };
}

function fail(text: string): CommandResult {
  return { exitCode: 1, stdout: '', stderr: `${text}\n\n` };
}

/** What a container runtime says of a program that the container does not have. */
export function commandNotFound(program: string): CommandResult {
  const why = `exec: "${program}": executable file not found in $PATH`;
  return { exitCode: 127, stdout: '', stderr: `OCI runtime exec failed: unable to start container process: ${why}\n` };
}
