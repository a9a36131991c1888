/** The first words of commands, by group, in the order in which `xim` shows them. */

export interface Topic {
  word: string;
  /** What the commands that begin with it are about; where there is one, its own summary serves. */
  about?: string;
}

export const topicGroups: Readonly<Record<string, readonly Topic[]>> = {
  'A server': [
    { word: 'serve' },
    { word: 'login' },
    { word: 'context', about: 'Servers that you have signed in to' },
    { word: 'account', about: 'Your own password and second factor' },
    { word: 'status' },
    { word: 'chaos' },
  ],
  'What is served': [
    { word: 'endpoints', about: 'What clients call' },
    { word: 'models', about: 'What endpoints serve' },
    { word: 'tiers', about: 'Limits, price and what was measured' },
    { word: 'regions', about: 'Which are near one another' },
  ],
  Requests: [
    { word: 'chat' },
    { word: 'requests', about: 'What was asked, and what became of it' },
    { word: 'explain' },
    { word: 'receipts', about: 'Receipts of all projects, for operators' },
    { word: 'usage' },
    { word: 'budgets', about: 'What a month may cost, in all or by a key' },
  ],
  Machines: [
    { word: 'agent' },
    { word: 'agents', about: 'Machines that serve' },
    { word: 'join-keys', about: 'Keys that let machines join' },
  ],
  'Projects and people': [
    { word: 'projects', about: 'What everything belongs to' },
    { word: 'keys', about: 'API keys of a project' },
    { word: 'members', about: 'Who belongs to a project' },
    { word: 'invitations', about: 'Let people in by an address that is good once' },
    { word: 'users', about: 'Accounts, for operators' },
    { word: 'audit', about: 'Who changed what' },
  ],
  'This machine': [
    { word: 'doctor' },
    { word: 'backup' },
    { word: 'restore' },
    { word: 'simulate' },
    { word: 'completion', about: 'Complete command lines by the tab key' },
    { word: 'version' },
  ],
};
