/** Projects. */

export interface ProjectAnswer {
  id: string;
  slug: string;
  name: string;
  shared_access: boolean;
  role: 'owner' | 'member';
}
