import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where this user's programs keep what can be made again, a folder of ours in it. Not created here. */
export function userCache(env: NodeJS.ProcessEnv = process.env): string {
  const given = process.platform === 'win32' ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  if (given && isAbsolute(given)) return join(given, 'mla-lp');
  const home =
    process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  return join(home, 'mla-lp');
}
