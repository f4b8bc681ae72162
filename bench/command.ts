/** A command of `npm run bench`, one file each under commands/, and how the command line finds it. */
import { Command } from 'commander';

export interface BenchCommand {
  readonly name: string;
  /** One line of help. */
  readonly text: string;
  /** Runs when no command is named. */
  readonly isDefault?: boolean;
  /** No line of help: for processes that a command starts. */
  readonly isHidden?: boolean;
  /** Declares options and arguments. */
  readonly declare: (command: Command) => void;
  /** Sets process.exitCode for results that are bad news. @throws MlaLpError */
  readonly run: (flags: never, args: readonly string[]) => Promise<void>;
}

export interface Invocation {
  readonly command: string;
  readonly flags: Readonly<Record<string, unknown>>;
  readonly run: () => Promise<void>;
}

/**
 * @param args without node and script.
 * @throws CommanderError for anything unknown, and (exit code 0) after printing help.
 */
export function parseArguments(args: readonly string[], commands: readonly BenchCommand[]): Invocation {
  let invocation: Invocation | undefined;
  const program = new Command('bench')
    .description('times mla-lp on this device; without a command: everything')
    .exitOverride()
    .showHelpAfterError('(see npm run bench -- --help)');
  for (const { name, text, isDefault = false, isHidden = false, declare, run } of commands) {
    const command = program
      .command(name, { isDefault, hidden: isHidden })
      .description(text)
      .allowExcessArguments(false);
    declare(command);
    command.action(() => {
      const flags = command.opts();
      const texts = command.args;
      invocation = { command: name, flags, run: () => run(flags as never, texts) };
    });
  }
  program.parse([...args], { from: 'user' });
  return invocation!;
}
