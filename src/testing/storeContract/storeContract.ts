/**
 * What every store must do, as one suite: `storeContract('SQLite', …)` registers its tests for one
 * implementation. Each case gets an empty database: those that open and close stores one of their
 * own, the others one after the other the same, because opening a store takes longer than most of
 * them do.
 */
import { after, test } from 'node:test';
import type { Store } from '../../store/store.ts';
import { agentCases } from './agentCases.ts';
import { agentLifeCases } from './agentLifeCases.ts';
import { agentListCases } from './agentListCases.ts';
import { apiKeyCases } from './apiKeyCases.ts';
import { auditCases } from './auditCases.ts';
import { bindingCases } from './bindingCases.ts';
import { catalogueCases } from './catalogueCases.ts';
import { directoryCases } from './directoryCases.ts';
import { endpointCases } from './endpointCases.ts';
import { enrollCases } from './enrollCases.ts';
import { healthCases } from './healthCases.ts';
import { idempotencyCases } from './idempotencyCases.ts';
import { joinKeyModelCases } from './joinKeyModelCases.ts';
import { memberCases } from './memberCases.ts';
import { modelCases } from './modelCases.ts';
import { openingCases, unopenedCases } from './openingCases.ts';
import { operatorCases } from './operatorCases.ts';
import { peopleCases } from './peopleCases.ts';
import { projectCases } from './projectCases.ts';
import { quotaCases } from './quotaCases.ts';
import { secondFactorCases } from './secondFactorCases.ts';
import { secretRaceCases } from './secretRaceCases.ts';
import type { StoreCases, StoreFixture } from './storeCases.ts';
import { tokenCases } from './tokenCases.ts';
import { agentHourCases } from './agentHourCases.ts';
import { budgetCases } from './budgetCases.ts';
import { usageCases } from './usageCases.ts';
import { usageSumCases } from './usageSumCases.ts';

const topics: StoreCases[] = [
  peopleCases,
  secondFactorCases,
  projectCases,
  memberCases,
  apiKeyCases,
  catalogueCases,
  endpointCases,
  bindingCases,
  quotaCases,
  modelCases,
  operatorCases,
  enrollCases,
  joinKeyModelCases,
  tokenCases,
  secretRaceCases,
  agentCases,
  agentListCases,
  agentLifeCases,
  healthCases,
  usageCases,
  usageSumCases,
  agentHourCases,
  budgetCases,
  directoryCases,
  auditCases,
  idempotencyCases,
];

/** `skip`: why the real thing is not there; then every case is skipped with it. */
export function storeContract(
  name: string,
  factory: Factory & { skip?: string | undefined },
): void {
  const register = (failure: string, run: () => Promise<void>): void =>
    void test(`${name}: ${failure}`, { skip: factory.skip ?? false }, run);
  const registerAlone = (cases: StoreCases, prepare: Factory['create']): void => {
    for (const [failure, check] of Object.entries(cases)) {
      register(failure, async () => {
        const fixture = await prepare();
        try {
          await runCase(check, fixture);
        } finally {
          await fixture.dispose();
        }
      });
    }
  };
  registerAlone(unopenedCases, () => factory.create());
  registerAlone(openingCases, () => opened(factory));
  let kept: StoreFixture | undefined;
  after(() => kept?.dispose());
  for (const [failure, check] of topics.flatMap((topic) => Object.entries(topic))) {
    register(failure, async () => {
      const fixture = kept ?? (await marked(factory));
      kept = undefined;
      try {
        await runCase(check, fixture);
        if (await fixture.reset()) kept = fixture;
        else await fixture.dispose();
      } catch (error) {
        // Nobody knows in which state it has left the store.
        await fixture.dispose();
        throw error;
      }
    });
  }
}

interface Factory {
  create(): Promise<StoreFixture>;
}

const opened = (factory: Factory): Promise<StoreFixture> =>
  prepared(factory, ({ store }) => store.open());

/** Open, and what it holds now is what `reset` goes back to. */
const marked = (factory: Factory): Promise<StoreFixture> =>
  prepared(factory, async (fixture) => {
    await fixture.store.open();
    await fixture.mark();
  });

/** Where it cannot be prepared nothing of it stays behind. */
async function prepared(
  factory: Factory,
  prepare: (fixture: StoreFixture) => Promise<unknown>,
): Promise<StoreFixture> {
  const fixture = await factory.create();
  try {
    await prepare(fixture);
    return fixture;
  } catch (error) {
    await fixture.dispose();
    throw error;
  }
}

/** A case that fails leaves no store open, which would keep the process from ending. */
async function runCase(check: StoreCases[string], fixture: StoreFixture): Promise<void> {
  const others: Store[] = [];
  const another = (): Store => {
    const store = fixture.another();
    others.push(store);
    return store;
  };
  try {
    await check?.({ ...fixture, another });
  } finally {
    for (const store of others) await store.close();
  }
}
