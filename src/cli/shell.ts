/** This process's command line, as one would type it again. */
export function commandLine(args: readonly string[] = process.argv.slice(2)): string {
  return ['mla-lp', ...args.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
