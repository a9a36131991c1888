/** What a project shows. */
import { recentRequests } from './projects.ts';

export const viewUseCases = { recentRequests };
