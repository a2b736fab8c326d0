// Who takes part, and what one may change: the name, the people, how loud it is, whether one is in it at all.
import { isMuted, type Conversation, type Person } from '@dovetail/chat'
import * as Menu from '@radix-ui/react-dropdown-menu'
import { useCallback, useEffect, useState } from 'react'
import { useAttempt, useChat, useChatState, useSurroundings } from '../context.tsx'
import { nameOf, presenceOf } from '../hooks/names.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar, GroupAvatar } from './Avatar.tsx'
import { IconButton } from './controls.tsx'
import { Ask, type Question } from './Dialogs.tsx'
import { Icon } from './Icon.tsx'
import { PeoplePicker } from './PeoplePicker.tsx'
import { Side } from './Side.tsx'

interface Props { conversation: Conversation; onClose: () => void; onLeft: () => void; onAsk: (question: Question) => void }

export function InfoPanel({ conversation, onClose, onLeft, onAsk }: Props) {
  const chat = useChat()
  const attempt = useAttempt()
  const language = useLanguage()
  const { t } = language
  const { notify, routes } = useSurroundings()
  const people = useChatState(useCallback((s) => s.people[conversation.id], [conversation.id])) ?? []
  const me = useChatState((s) => s.me?.id)
  const [asking, setAsking] = useState<'name' | 'people' | null>(null)
  const { id, type } = conversation
  const name = nameOf(conversation, language)
  const group = type !== 'direct'
  const owner = conversation.role === 'owner'
  const other = group ? undefined : conversation.participants[0]
  const again = () => chat.list.people(id)

  const leave = () => onAsk({ title: t('confirmLeave'), hint: t('confirmLeaveHint'), action: t('leave'), run: () => void attempt(chat.actions.leave(id).then(() => true)).then((done) => { if (done) onLeft() }) })
  const invite = async () => {
    const made = await attempt(chat.actions.createInvite(id))
    if (!made || !routes.invite) return
    const link = new URL(routes.invite(made.token), location.href).href
    if ((await attempt(navigator.clipboard.writeText(link).then(() => true))) === true) notify(t('copied'))
  }

  return (
    <Side title={t('info')} onClose={onClose}>
      <div className="dt-info">
        <div className="dt-info-head">
          {other
            ? <Avatar id={other.user_id} name={name} url={other.avatar_url} size={72} />
            : <GroupAvatar id={id} name={name} size={72} people={conversation.participants.map((p) => ({ id: p.user_id, name: p.display_name ?? '', url: p.avatar_url }))} />}
          <h3>{name}</h3>
          {group && <button type="button" className="dt-link" onClick={() => setAsking('name')}>{t('rename')}</button>}
        </div>
        <Choices conversation={conversation} />
        {group && (
          <section>
            <h4>{t('memberCount', { count: people.length })}</h4>
            <ul className="dt-people">
              <li><button type="button" className="dt-person-button" onClick={() => setAsking('people')}><span className="dt-round"><Icon name="plus" size={18} /></span>{t('addPeople')}</button></li>
              <li><button type="button" className="dt-person-button" onClick={() => void invite()}><span className="dt-round"><Icon name="link" size={18} /></span>{t('invite')}</button></li>
              {people.map((p) => <Member key={p.user_id} person={p} conversation={id} own={p.user_id === me} manage={owner && p.user_id !== me} onChanged={() => void attempt(again())} />)}
            </ul>
          </section>
        )}
        {other && <Blocking person={other} onAsk={onAsk} />}
        {group && <button type="button" className="dt-button dt-button-quiet dt-danger" onClick={leave}>{t('leave')}</button>}
      </div>
      {asking === 'name' && <Ask title={t('rename')} label={t('groupName')} start={conversation.name ?? ''} action={t('save')} onClose={() => setAsking(null)} onDone={(text) => void attempt(chat.actions.rename(id, text))} />}
      {asking === 'people' && (
        <PeoplePicker title={t('addPeople')} action={t('add')} without={people.map((p) => p.user_id)} onClose={() => setAsking(null)}
          onDone={(chosen) => void attempt(chat.actions.addPeople(id, chosen.map((p) => p.id)).then(again))} />
      )}
    </Side>
  )
}

function Member({ person, conversation, own, manage, onChanged }: { person: Person; conversation: string; own: boolean; manage: boolean; onChanged: () => void }) {
  const chat = useChat()
  const attempt = useAttempt()
  const { t } = useLanguage()
  const { portal } = useSurroundings()
  const presence = useChatState(useCallback((s) => presenceOf(s, person), [person]))
  const run = (work: Promise<unknown>) => void attempt(work).then(onChanged)
  return (
    <li className="dt-person">
      <Avatar id={person.user_id} name={person.display_name ?? ''} url={person.avatar_url} size={36} presence={presence} />
      <span className="dt-grow">{person.display_name ?? t('somebody')}{own && ` (${t('you')})`}{person.role === 'owner' && <small> · {t('owner')}</small>}</span>
      {manage && (
        <Menu.Root modal={false}>
          <Menu.Trigger asChild><IconButton icon="more" size={18} label={`${t('more')}: ${person.display_name ?? ''}`} /></Menu.Trigger>
          <Menu.Portal container={portal}>
            <Menu.Content className="dt-menu" align="end">
              <Menu.Item className="dt-menu-item" onSelect={() => run(chat.actions.setRole(conversation, person.user_id, person.role === 'owner' ? 'member' : 'owner'))}>{t(person.role === 'owner' ? 'removeOwner' : 'makeOwner')}</Menu.Item>
              <Menu.Item className="dt-menu-item dt-danger" onSelect={() => run(chat.actions.removePerson(conversation, person.user_id))}>{t('remove')}</Menu.Item>
            </Menu.Content>
          </Menu.Portal>
        </Menu.Root>
      )}
    </li>
  )
}

/** Pin, mute, archive, what is told by push. */
function Choices({ conversation }: { conversation: Conversation }) {
  const chat = useChat()
  const attempt = useAttempt()
  const { t } = useLanguage()
  const { id } = conversation
  const muted = isMuted(conversation, Date.now())
  const prefer = (wish: Parameters<typeof chat.actions.prefer>[1]) => void attempt(chat.actions.prefer(id, wish))
  const muteFor = (value: string) => {
    if (value === 'off') prefer({ muted_until: null })
    else if (value === 'on') return
    else prefer({ muted_until: value === 'infinity' ? value : new Date(Date.now() + Number(value) * 3_600_000).toISOString() })
  }
  return (
    <section className="dt-choices">
      <div className="dt-choice-buttons">
        <button type="button" className="dt-button" aria-pressed={Boolean(conversation.pinned_at)} onClick={() => prefer({ pinned: !conversation.pinned_at })}><Icon name="pin" size={18} />{t(conversation.pinned_at ? 'unpin' : 'pin')}</button>
        <button type="button" className="dt-button" aria-pressed={Boolean(conversation.archived_at)} onClick={() => prefer({ archived: !conversation.archived_at })}><Icon name="download" size={18} />{t(conversation.archived_at ? 'unarchive' : 'archive')}</button>
      </div>
      <label className="dt-choice"><span>{t('mute')}</span>
        <select value={muted ? 'on' : 'off'} onChange={(event) => muteFor(event.target.value)}>
          <option value="off">{t(muted ? 'unmute' : 'off')}</option>
          {muted && <option value="on">{t('muted')}</option>}
          <option value="1">{t('muteHour')}</option><option value="24">{t('muteDay')}</option><option value="infinity">{t('muteForever')}</option>
        </select>
      </label>
      <label className="dt-choice"><span>{t('notifyAbout')}</span>
        <select value={conversation.notify} onChange={(event) => prefer({ notify: event.target.value as Conversation['notify'] })}>
          <option value="all">{t('notifyAll')}</option><option value="mentions">{t('notifyMentions')}</option><option value="none">{t('notifyNone')}</option>
        </select>
      </label>
    </section>
  )
}

function Blocking({ person, onAsk }: { person: Person; onAsk: (question: Question) => void }) {
  const chat = useChat()
  const attempt = useAttempt()
  const { notify } = useSurroundings()
  const { t } = useLanguage()
  const [blocked, setBlocked] = useState<boolean | null>(null)
  const name = person.display_name ?? t('somebody')
  useEffect(() => {
    void chat.actions.blocked().then((ids) => setBlocked(ids.includes(person.user_id)), () => {})
  }, [chat, person.user_id])
  const set = async (on: boolean) => {
    if ((await attempt((on ? chat.actions.block(person.user_id) : chat.actions.unblock(person.user_id)).then(() => true))) !== true) return
    setBlocked(on)
    if (on) notify(t('blocked', { name }))
  }
  if (blocked === null) return null
  return (
    <button type="button" className="dt-button dt-button-quiet dt-danger"
      onClick={() => (blocked ? void set(false) : onAsk({ title: t('confirmBlock', { name }), hint: t('confirmBlockHint'), action: t('block'), run: () => void set(true) }))}>
      {t(blocked ? 'unblock' : 'block')}
    </button>
  )
}
