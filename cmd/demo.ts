/**
 * `patchpanel demo`: the whole job in half a minute, on the embedded sandbox, out of a real git repository that is served
 * over http on loopback. Each command that it shows is run as shown; an unexpected exit code fails the demo.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { pods } from '../reconcile/kube/resources.ts';
import type { Style } from '../reconcile/report/style.ts';
import { duration } from '../reconcile/report/words.ts';
import { type GitServer, git, startGitServer } from '../sandbox/git-server.ts';
import { inspectPorts } from './inspect.ts';
import type { Exit } from './program.ts';
import { outputStyle, print } from './terminal.ts';

/** Attachments by VM: each names a network of the sandbox's namespace `demo`. */
type Fleet = Readonly<Record<string, readonly string[]>>;

interface Chapter {
  readonly title: string;
  /** What the reader should know before the commands run. */
  readonly text: string;
  readonly commit: string;
  readonly fleet: Fleet;
  /** The file of the commit that is shown. */
  readonly shows?: string;
  readonly runs: readonly { readonly verb: 'plan' | 'apply'; readonly expected: number; readonly lesson: string }[];
}

const six = ['storage', 'backup', 'mgmt', 'red', 'green', 'blue'] as const;

/** Network of each attachment in the sandbox's namespace `demo`. */
const networks: Readonly<Record<string, string>> = {
  storage: 'storage-net',
  backup: 'backup-net',
  mgmt: 'mgmt-net',
  red: 'vlan100',
  green: 'vlan200',
  blue: 'vlan300',
};

const chapters: readonly Chapter[] = [
  {
    title: 'Plug two NICs into a running VM',
    text: 'web-0 is a q35 guest as KubeVirt makes it: four PCIe ports are free. A commit declares two NICs for it.',
    commit: 'Give web-0 storage and backup',
    fleet: { 'web-0': ['storage', 'backup'] },
    shows: 'vms/web-0.yaml',
    runs: [
      {
        verb: 'plan',
        expected: exitCodes.changesPending,
        lesson: 'Exit code 2: changes are pending. Now carry them out.',
      },
      {
        verb: 'apply',
        expected: exitCodes.ok,
        lesson: 'Each NIC went from the VM template through VMI and pod into the libvirt domain while the VM ran.',
      },
    ],
  },
  {
    title: 'Ask for more than the ports can hold',
    text: 'The next commit wants six NICs on web-0. KubeVirt would accept it, plug the pod, and then fail in libvirt with "No more available PCI slots".',
    commit: 'Give web-0 four more networks',
    fleet: { 'web-0': six },
    runs: [
      {
        verb: 'plan',
        expected: exitCodes.blocked,
        lesson: 'Exit code 4: refused before anything was touched, with the way out.',
      },
    ],
  },
  {
    title: 'The same six NICs on a VM with 24 ports',
    text: 'db-0 was started with 24 PCIe root ports. The commit moves the wish there.',
    commit: 'Leave web-0 as it is and give db-0 six networks',
    fleet: { 'db-0': six, 'web-0': ['storage', 'backup'] },
    runs: [
      { verb: 'apply', expected: exitCodes.ok, lesson: 'Six NICs, plugged one at a time, in the declared order.' },
    ],
  },
  {
    title: 'Unplug',
    text: 'NICs that are gone from git are unplugged: first from the domain, then from the pod.',
    commit: 'Take backup from web-0 and the VLANs from db-0',
    fleet: { 'db-0': ['storage', 'backup', 'mgmt'], 'web-0': ['storage'] },
    runs: [
      { verb: 'apply', expected: exitCodes.ok, lesson: 'Gone from every layer; their ports are free again.' },
      {
        verb: 'plan',
        expected: exitCodes.ok,
        lesson: 'Exit code 0: a second run has nothing to do, and writes nothing.',
      },
    ],
  },
];

/** Runs a command line in this process; returns its exit code. */
export type RunCommand = (argv: readonly string[]) => Promise<number>;

export function addDemo(program: Command, exit: Exit, run: RunCommand): void {
  program
    .command('demo')
    .summary('see the main job on an embedded cluster')
    .description(
      'Plugs and unplugs NICs of running VMs out of a git commit, on the sandbox. Needs git, and no cluster.',
    )
    .addHelpText('after', '\nExample:\n  patchpanel demo\n')
    .action(async () => {
      exit.code = await demo(outputStyle(), run);
    });
}

async function demo(style: Style, run: RunCommand): Promise<number> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-demo-'));
  const cleanUps: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const { startSandbox } = await import('../sandbox/sandbox.ts');
    const sandbox = await startSandbox({});
    cleanUps.unshift(() => sandbox.stop());
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, sandbox.kubeconfig, { mode: 0o600 });
    const repository = join(folder, 'network.git');
    await mkdir(join(repository, 'vms'), { recursive: true });
    await git(repository, 'init', '--quiet', '--initial-branch=main');
    const server = await serve(folder);
    cleanUps.unshift(() => server.close());
    await print(
      `A sandbox cluster runs at ${sandbox.api.url}, with KubeVirt VMs web-0, web-1 and db-0 in namespace demo.\n` +
        `A git repository is served at ${server.url}/network.git.\n`,
    );
    for (const [index, chapter] of chapters.entries()) {
      await tell(`${index + 1}. ${chapter.title}`, chapter.text, style);
      await commit(repository, chapter);
      await show(repository, ['log', '-1', '--oneline'], style);
      if (chapter.shows !== undefined) await show(repository, ['show', `HEAD:${chapter.shows}`], style);
      if (!(await runAll(chapter, ['--kubeconfig', kubeconfig], `${server.url}/network.git`, run, style)))
        return exitCodes.error;
    }
    await showPorts(kubeconfig, style);
    await print(
      `\n${style.bold('That was the main job')}, in ${duration(performance.now() - started)}. README.md goes on from here.\n`,
    );
    return exitCodes.ok;
  } finally {
    for (const cleanUp of cleanUps) await cleanUp();
  }
}

async function serve(root: string): Promise<GitServer> {
  try {
    return await startGitServer({ root });
  } catch (cause) {
    throw new PatchpanelError('sandbox/port', 'the demo can not serve git on loopback', { cause });
  }
}

async function tell(title: string, text: string, style: Style): Promise<void> {
  await print(`\n${style.bold(title)}\n${text}\n\n`);
}

async function shell(command: string, style: Style): Promise<void> {
  await print(`${style.dim('$')} ${style.bold(command)}\n`);
}

/** A git command with what it prints. */
async function show(repository: string, args: readonly string[], style: Style): Promise<void> {
  await shell(`git ${args.join(' ')}`, style);
  await print(`${(await git(repository, ...args)).trimEnd()}\n`);
}

async function commit(repository: string, chapter: Chapter): Promise<void> {
  for (const [vm, attachments] of Object.entries(chapter.fleet)) {
    await writeFile(join(repository, 'vms', `${vm}.yaml`), manifest(vm, attachments));
  }
  await git(repository, 'add', '.');
  await git(repository, 'commit', '--quiet', '-m', chapter.commit);
}

function manifest(vm: string, attachments: readonly string[]): string {
  return stringify({
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name: vm, namespace: 'demo' },
    spec: { attachments: attachments.map((name) => ({ name, network: networks[name] })) },
  });
}

/** False where a command ended otherwise than the story says. */
async function runAll(
  chapter: Chapter,
  flags: readonly string[],
  url: string,
  run: RunCommand,
  style: Style,
): Promise<boolean> {
  for (const { verb, expected, lesson } of chapter.runs) {
    await shell(`patchpanel ${verb} ${url} --ref main --path vms`, style);
    const code = await run([verb, url, '--ref', 'main', '--path', 'vms', ...flags]);
    if (code !== expected) {
      await print(style.bad(`This should have ended with exit code ${expected}, and ended with ${code}.\n`));
      return false;
    }
    await print(`${style.good(lesson)}\n\n`);
  }
  return true;
}

/** The proof at the bottom: what the domain itself says. */
async function showPorts(kubeconfig: string, style: Style): Promise<void> {
  const cluster = await connect({ kubeconfig });
  try {
    const launchers = await cluster.list(
      pods,
      { namespace: 'demo', labelSelector: 'kubevirt.io=virt-launcher,vm.kubevirt.io/name=web-0' },
      (pod) => pod.metadata.name,
    );
    const pod = launchers.items[0] ?? '';
    await tell('What libvirt itself says of web-0', 'The live domain XML, read by exec in the launcher pod:', style);
    await shell(`kubectl exec -n demo ${pod} -c compute -- virsh dumpxml demo_web-0 | patchpanel inspect ports`, style);
    const xml = await cluster.exec({ namespace: 'demo', pod, container: 'compute' }, [
      'virsh',
      'dumpxml',
      'demo_web-0',
    ]);
    await print(inspectPorts(xml.stdout, { output: 'text' }).stdout);
  } finally {
    await cluster.close();
  }
}
