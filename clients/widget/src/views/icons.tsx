// Drawn here, so that nothing is fetched.
const PATHS = {
  chat: 'M12 3c5 0 9 3.4 9 7.7s-4 7.8-9 7.8c-1 0-2-.1-2.900-.4L4.600 20.400c-.5.3-1-.2-.9-.7l.8-3.300C3.600 15 3 12.900 3 10.700 3 6.400 7 3 12 3Z',
  down: 'm6 9.500 6 6 6-6',
  close: 'M6.500 6.500l11 11m0-11-11 11',
  clip: 'm19 11.500-7.300 7.200a4.600 4.600 0 0 1-6.500-6.500l7.700-7.600a3.100 3.100 0 0 1 4.400 4.400l-7.600 7.500a1.500 1.500 0 0 1-2.200-2.100l6.800-6.700',
  send: 'M12 19V5.500m-6 5.700 6-6 6 6',
  smile: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.500 14c.8 1.200 2 1.900 3.500 1.900s2.700-.7 3.500-1.900M9 9.800v.1m6-.1v.1',
  leave: 'M10 4H6.500A1.500 1.500 0 0 0 5 5.500v13A1.500 1.500 0 0 0 6.500 20H10M15 8l4 4-4 4M9.500 12H19',
  file: 'M13.500 3H7.500A1.500 1.500 0 0 0 6 4.500v15A1.500 1.500 0 0 0 7.500 21h9a1.500 1.500 0 0 0 1.500-1.500v-12L13.500 3Zm0 0v4.500H18',
} as const

export function Icon({ name, filled = false, size = 24 }: { name: keyof typeof PATHS; filled?: boolean; size?: number }) {
  return (
    <svg viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]} fill={filled ? 'currentColor' : 'none'} stroke={filled ? 'none' : 'currentColor'} stroke-width="2"
        stroke-linecap="round" stroke-linejoin="round"
      />
    </svg>
  )
}
