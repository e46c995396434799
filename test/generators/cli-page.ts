/** docs/reference/cli.md, from the command tree itself. */
import type { Argument, Command, Option } from 'commander';
import { buildProgram } from '../../cmd/program.ts';
import { exitCodes } from '../../reconcile/errors.ts';
import { meanings } from './exit-codes.ts';
import { fenced, generatedNote, page, table } from './markdown.ts';

const environment: readonly (readonly [name: string, meaning: string])[] = [
  ['KUBECONFIG', 'kubeconfig files, separated as in PATH; `--kubeconfig` comes before it'],
  ['PATCHPANEL_GIT_TOKEN', 'access token for git; `--git-token-file` comes before it'],
  ['PATCHPANEL_GIT_USERNAME', 'user of basic authentication; `--git-username` comes before it'],
  ['PATCHPANEL_GIT_PASSWORD', 'password of basic authentication; `--git-password-file` comes before it'],
  ['PATCHPANEL_GITHUB_APP_ID', 'GitHub App; `--github-app-id` comes before it'],
  ['PATCHPANEL_GITHUB_APP_INSTALLATION_ID', 'its installation; `--github-app-installation-id` comes before it'],
  ['PATCHPANEL_GITHUB_APP_KEY', 'its private key; `--github-app-key-file` comes before it'],
  ['HTTPS_PROXY, HTTP_PROXY, NO_PROXY', 'proxy for git, in either case'],
  ['NO_COLOR, FORCE_COLOR', 'no colours, or colours where the output is no terminal'],
  ['PATCHPANEL_DEBUG', 'stack traces of internal errors'],
];

const program = await buildProgram('0.0.0', { code: 0 });

export function cliPage(): string {
  const verbs = leaves(program);
  return page(
    generatedNote,
    '# Command line',
    `${program.description()} The result goes to standard output; progress and errors go to standard error, so that a pipe holds the result alone.`,
    table(
      ['Verb', ''],
      verbs.map(({ path, command }) => [
        `[\`${path}\`](#${`patchpanel ${path}`.replaceAll(' ', '-')})`,
        command.summary() || command.description(),
      ]),
    ),
    'A source is a folder or the http(s) URL of a git repository. A folder is read as it is on disk; of a repository, the commit that `--ref` names is fetched into memory. ssh is not spoken: use the https URL, or clone with git and give the folder.',
    'Colours and live progress lines are for terminals; in a log each event is a line, and with `--log-format json` a JSON object with `time`, `level` and `type`.',
    ...verbs.flatMap(({ path, command }) => verbSection(path, command)),
    '## Exit codes',
    table(
      ['Exit', 'Meaning'],
      Object.entries(meanings).map(([name, { meaning }]) => [
        String(exitCodes[name as keyof typeof exitCodes]),
        meaning,
      ]),
    ),
    '[errors.md](errors.md) lists every error, and shows how a Job tells the codes apart.',
    '## Environment',
    table(
      ['Variable', 'Meaning'],
      environment.map(([name, meaning]) => [name, meaning]),
    ),
    '[rbac.md](rbac.md) lists what the credentials must be allowed to do.',
  );
}

interface Verb {
  readonly path: string;
  readonly command: Command;
}

function leaves(command: Command, path: readonly string[] = []): readonly Verb[] {
  if (command.commands.length === 0) return [{ path: path.join(' '), command }];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

function verbSection(path: string, command: Command): readonly string[] {
  const options = command.options.filter(({ hidden }) => !hidden);
  const { examples, rest } = afterHelp(command);
  return [
    `## patchpanel ${path}`,
    command.description(),
    fenced('text', `patchpanel ${path} ${command.usage()}`),
    command.registeredArguments.length === 0
      ? ''
      : table(['Argument', 'Meaning', 'Default'], command.registeredArguments.map(argumentRow)),
    options.length === 0 ? '' : table(['Option', 'Meaning', 'Default'], options.map(optionRow)),
    rest,
    fenced('sh', examples),
  ];
}

function argumentRow(argument: Argument): readonly string[] {
  return [`\`${argument.name()}\``, meaning(argument.description, argument.argChoices), shown(argument.defaultValue)];
}

function optionRow(option: Option): readonly string[] {
  const byDefault = option.mandatory && option.defaultValue === undefined ? 'required' : shown(option.defaultValue);
  return [`\`${option.flags}\``, meaning(option.description, option.argChoices), byDefault];
}

function meaning(description: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? description : `${description}: ${choices.map((each) => `\`${each}\``).join(', ')}`;
}

function shown(value: unknown): string {
  return value === undefined || value === false ? '' : `\`${String(value)}\``;
}

/** What a verb's help says below its options: sentences, and the examples without their indentation. */
function afterHelp(command: Command): { readonly rest: string; readonly examples: string } {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  const after = text.slice(command.helpInformation().length);
  const at = /^Examples?:\n/m.exec(after);
  if (at === null) throw new Error(`the help of ${command.name()} has no examples`);
  return {
    rest: after.slice(0, at.index).trim(),
    examples: after.slice(at.index + at[0].length).replaceAll(/^ {2}/gm, ''),
  };
}
