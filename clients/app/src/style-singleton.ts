// Stands in for react-style-singleton, which inserts <style> elements: the same through constructed style sheets, which a
// strict Content-Security-Policy allows, since no text of the page becomes style.
import { useEffect } from 'react'

function singleton() {
  let users = 0
  let sheet: CSSStyleSheet | null = null
  return {
    add(css: string) {
      if (users++ > 0) return
      sheet = new CSSStyleSheet()
      sheet.replaceSync(css)
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
    },
    remove() {
      if (--users > 0) return
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((known) => known !== sheet)
      sheet = null
    },
  }
}

export const stylesheetSingleton = singleton

export function styleHookSingleton() {
  const sheet = singleton()
  return function useStyle(css: string, dynamic?: boolean) {
    useEffect(() => {
      sheet.add(css)
      return () => sheet.remove()
      // The first style counts unless the caller says that it changes.
    }, [css && dynamic]) // eslint-disable-line react-hooks/exhaustive-deps
  }
}

export function styleSingleton() {
  const useStyle = styleHookSingleton()
  return function Sheet({ styles, dynamic }: { styles: string; dynamic?: boolean }) {
    useStyle(styles, dynamic)
    return null
  }
}
