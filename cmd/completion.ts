/** Shell completion, written from the command tree. */
import { Argument, type Command, type Option } from 'commander';
import { print } from './terminal.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** One word list for each command path: what may follow it. */
interface CompletionRow {
  /** Words after `patchpanel`, such as `inspect ports`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  /** What the first argument may be, where that is a list. */
  readonly values: readonly string[];
  readonly options: readonly {
    readonly long: string;
    readonly short?: string;
    readonly description: string;
    readonly choices?: readonly string[];
    readonly takesValue: boolean;
  }[];
}

/** The rows of a command tree, parents before children. */
function completionRows(command: Command, path: readonly string[] = []): CompletionRow[] {
  const options = [...command.options.filter((option) => !option.hidden).map(optionRow), helpOption];
  const row: CompletionRow = {
    path: path.join(' '),
    commands: command.commands.map((child) => ({
      name: child.name(),
      description: child.summary() || child.description(),
    })),
    values: command.registeredArguments[0]?.argChoices ?? [],
    options,
  };
  return [row, ...command.commands.flatMap((child) => completionRows(child, [...path, child.name()]))];
}

const helpOption = { long: '--help', description: 'show help', takesValue: false } as const;

function optionRow(option: Option): CompletionRow['options'][number] {
  return {
    long: option.long ?? option.flags,
    description: option.description,
    takesValue: option.required || option.optional,
    ...(option.short === undefined ? {} : { short: option.short }),
    ...(option.argChoices === undefined ? {} : { choices: option.argChoices }),
  };
}

function bash(rows: readonly CompletionRow[]): string {
  const cases = rows.map(({ path, commands, values, options }) => {
    const words = [...commands.map(({ name }) => name), ...values].join(' ');
    return `      '${path}') words='${words}' options='${options.map(({ long }) => long).join(' ')}' ;;`;
  });
  const values = valueRows(rows).map(([keys, words]) => `    ${keys.join('|')}) words='${words.join(' ')}' ;;`);
  return `# bash completion for patchpanel
_patchpanel() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' options='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) case " ${rows
      .map(({ path }) => path.replaceAll(' ', '/'))
      .filter(Boolean)
      .join(' ')} " in *" \${path:+$path/}$word "*) path=\${path:+$path/}$word ;; esac ;; esac
  done
  path=\${path//\\// }
  case "$path $previous" in
${values.join('\n')}
    *) case $path in
${cases.join('\n')}
    esac
    case $current in -*) words=$options ;; esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _patchpanel patchpanel
`;
}

/** `plan --output` and `plan -o` -> what may follow; nothing where the value is free, such as a file, which bash completes. */
function valueRows(rows: readonly CompletionRow[]): [readonly string[], readonly string[]][] {
  return rows.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ long, short, choices }): [readonly string[], readonly string[]] => [
        [long, ...(short === undefined ? [] : [short])].map((name) => `'${path} ${name}'`),
        choices ?? [],
      ]),
  );
}

/** Single-quoted for a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** zsh runs the bash function: one path to test, at the price of descriptions. */
function zsh(rows: readonly CompletionRow[]): string {
  return `#compdef patchpanel\nautoload -U +X bashcompinit && bashcompinit\n${bash(rows)}`;
}

function fish(rows: readonly CompletionRow[]): string {
  const lines = rows.flatMap((row) => {
    const condition =
      row.path === ''
        ? '__fish_use_subcommand'
        : row.path
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    const when = `-n ${quoted(condition)}`;
    return [
      ...row.values.map((value) => `complete -c patchpanel -f ${when} -a ${value}`),
      ...row.commands.map(
        ({ name, description }) => `complete -c patchpanel -f ${when} -a ${name} -d ${quoted(description)}`,
      ),
      ...row.options.map((option) => {
        const values = option.choices === undefined ? '' : ` -x -a ${quoted(option.choices.join(' '))}`;
        const value = option.takesValue && values === '' ? ' -r' : values;
        return `complete -c patchpanel ${when} -l ${option.long.replace(/^--/, '')}${value} -d ${quoted(option.description)}`;
      }),
    ];
  });
  return `# fish completion for patchpanel\n${lines.join('\n')}\n`;
}

const writers = { bash, zsh, fish } as const satisfies Record<Shell, (rows: readonly CompletionRow[]) => string>;

/** The completion script of a shell. */
function completionScript(program: Command, shell: Shell): string {
  return writers[shell](completionRows(program));
}

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a completion script')
    .description('Prints a completion script for a shell.')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(patchpanel completion bash)\n  patchpanel completion fish | source\n',
    )
    .action(async (shell: Shell) => {
      await print(completionScript(program, shell));
    });
}
