// Generated from the database by `dovetail types`. Changes are lost.

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      chat_settings: {
        Row: {
          id: boolean
          max_message_length: number
          max_group_size: number
          max_attachments: number
          max_attachment_bytes: number
          max_reactions_per_message: number
          allowed_emoji: string[]
          guest_searches_per_minute: number
          guest_messages_per_minute: number
          edit_window: string | null
          default_org_id: string | null
          allow_insecure_push: boolean
        }
        Insert: {
          id?: boolean
          max_message_length?: number
          max_group_size?: number
          max_attachments?: number
          max_attachment_bytes?: number
          max_reactions_per_message?: number
          allowed_emoji?: string[]
          guest_searches_per_minute?: number
          guest_messages_per_minute?: number
          edit_window?: string | null
          default_org_id?: string | null
          allow_insecure_push?: boolean
        }
        Update: {
          id?: boolean
          max_message_length?: number
          max_group_size?: number
          max_attachments?: number
          max_attachment_bytes?: number
          max_reactions_per_message?: number
          allowed_emoji?: string[]
          guest_searches_per_minute?: number
          guest_messages_per_minute?: number
          edit_window?: string | null
          default_org_id?: string | null
          allow_insecure_push?: boolean
        }
        Relationships: [
        ]
      }
      client_chat_tokens: {
        Row: {
          id: string
          client_id: string
          org_id: string
          trip_id: string
          token: string
          share_link_id: string
          conversation_id: string
          expires_at: string
          created_at: string
        }
        Insert: {
          id?: string
          client_id: string
          org_id: string
          trip_id: string
          token: string
          share_link_id: string
          conversation_id: string
          expires_at?: string
          created_at?: string
        }
        Update: {
          id?: string
          client_id?: string
          org_id?: string
          trip_id?: string
          token?: string
          share_link_id?: string
          conversation_id?: string
          expires_at?: string
          created_at?: string
        }
        Relationships: [
          { foreignKeyName: "client_chat_tokens_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
          { foreignKeyName: "client_chat_tokens_share_link_id_fkey"; columns: ["share_link_id"]; isOneToOne: false; referencedRelation: "share_links"; referencedColumns: ["id"] },
        ]
      }
      conversation_invites: {
        Row: {
          id: string
          conversation_id: string
          token: string
          created_by: string
          created_at: string
          expires_at: string
          max_uses: number
          uses: number
        }
        Insert: {
          id?: string
          conversation_id: string
          token?: string
          created_by: string
          created_at?: string
          expires_at?: string
          max_uses?: number
          uses?: number
        }
        Update: {
          id?: string
          conversation_id?: string
          token?: string
          created_by?: string
          created_at?: string
          expires_at?: string
          max_uses?: number
          uses?: number
        }
        Relationships: [
          { foreignKeyName: "conversation_invites_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
        ]
      }
      conversation_participants: {
        Row: {
          conversation_id: string
          user_id: string
          role: string
          joined_at: string
          left_at: string | null
          last_read_at: string | null
          last_read_message_id: string | null
          muted_until: string | null
          notify: string
          pinned_at: string | null
          archived_at: string | null
        }
        Insert: {
          conversation_id: string
          user_id: string
          role?: string
          joined_at?: string
          left_at?: string | null
          last_read_at?: string | null
          last_read_message_id?: string | null
          muted_until?: string | null
          notify?: string
          pinned_at?: string | null
          archived_at?: string | null
        }
        Update: {
          conversation_id?: string
          user_id?: string
          role?: string
          joined_at?: string
          left_at?: string | null
          last_read_at?: string | null
          last_read_message_id?: string | null
          muted_until?: string | null
          notify?: string
          pinned_at?: string | null
          archived_at?: string | null
        }
        Relationships: [
          { foreignKeyName: "conversation_participants_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
        ]
      }
      conversations: {
        Row: {
          id: string
          type: string
          name: string | null
          org_id: string | null
          project_id: string | null
          participant_1_id: string | null
          participant_2_id: string | null
          created_by: string | null
          last_message_at: string | null
          last_message_preview: string | null
          last_message_sender_id: string | null
          last_message_sender_name: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          id?: string
          type: string
          name?: string | null
          org_id?: string | null
          project_id?: string | null
          participant_1_id?: string | null
          participant_2_id?: string | null
          created_by?: string | null
          last_message_at?: string | null
          last_message_preview?: string | null
          last_message_sender_id?: string | null
          last_message_sender_name?: string | null
          created_at?: string
          updated_at?: string
        }
        Update: {
          id?: string
          type?: string
          name?: string | null
          org_id?: string | null
          project_id?: string | null
          participant_1_id?: string | null
          participant_2_id?: string | null
          created_by?: string | null
          last_message_at?: string | null
          last_message_preview?: string | null
          last_message_sender_id?: string | null
          last_message_sender_name?: string | null
          created_at?: string
          updated_at?: string
        }
        Relationships: [
        ]
      }
      message_reactions: {
        Row: {
          id: string
          message_id: string
          conversation_id: string
          org_id: string | null
          reactor_type: string
          reactor_id: string
          reactor_name: string | null
          emoji: string
          created_at: string
        }
        Insert: {
          id?: string
          message_id: string
          conversation_id: string
          org_id?: string | null
          reactor_type: string
          reactor_id: string
          reactor_name?: string | null
          emoji: string
          created_at?: string
        }
        Update: {
          id?: string
          message_id?: string
          conversation_id?: string
          org_id?: string | null
          reactor_type?: string
          reactor_id?: string
          reactor_name?: string | null
          emoji?: string
          created_at?: string
        }
        Relationships: [
          { foreignKeyName: "message_reactions_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
          { foreignKeyName: "message_reactions_message_id_fkey"; columns: ["message_id"]; isOneToOne: false; referencedRelation: "messages"; referencedColumns: ["id"] },
        ]
      }
      message_reports: {
        Row: {
          id: string
          message_id: string
          conversation_id: string
          reporter_id: string
          reason: string
          content: string
          created_at: string
        }
        Insert: {
          id?: string
          message_id: string
          conversation_id: string
          reporter_id: string
          reason: string
          content: string
          created_at?: string
        }
        Update: {
          id?: string
          message_id?: string
          conversation_id?: string
          reporter_id?: string
          reason?: string
          content?: string
          created_at?: string
        }
        Relationships: [
          { foreignKeyName: "message_reports_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
          { foreignKeyName: "message_reports_message_id_fkey"; columns: ["message_id"]; isOneToOne: false; referencedRelation: "messages"; referencedColumns: ["id"] },
        ]
      }
      messages: {
        Row: {
          id: string
          conversation_id: string
          sender_id: string | null
          sender_name: string | null
          sender_type: string | null
          content: string
          content_type: string
          thread_id: string | null
          reply_to: string | null
          attachments: Json
          attachment_url: string | null
          attachment_type: string | null
          attachment_name: string | null
          is_read: boolean
          read_at: string | null
          seen_at: string | null
          edited_at: string | null
          deleted_at: string | null
          mentions: string[]
          client_id: string | null
          metadata: Json
          in_main_line: boolean
          created_at: string
          search: unknown | null
        }
        Insert: {
          id?: string
          conversation_id: string
          sender_id?: string | null
          sender_name?: string | null
          sender_type?: string | null
          content?: string
          content_type?: string
          thread_id?: string | null
          reply_to?: string | null
          attachments?: Json
          attachment_url?: string | null
          attachment_type?: string | null
          attachment_name?: string | null
          is_read?: boolean
          read_at?: string | null
          seen_at?: string | null
          edited_at?: string | null
          deleted_at?: string | null
          mentions?: string[]
          client_id?: string | null
          metadata?: Json
          in_main_line?: boolean
          created_at?: string
          search?: never
        }
        Update: {
          id?: string
          conversation_id?: string
          sender_id?: string | null
          sender_name?: string | null
          sender_type?: string | null
          content?: string
          content_type?: string
          thread_id?: string | null
          reply_to?: string | null
          attachments?: Json
          attachment_url?: string | null
          attachment_type?: string | null
          attachment_name?: string | null
          is_read?: boolean
          read_at?: string | null
          seen_at?: string | null
          edited_at?: string | null
          deleted_at?: string | null
          mentions?: string[]
          client_id?: string | null
          metadata?: Json
          in_main_line?: boolean
          created_at?: string
          search?: never
        }
        Relationships: [
          { foreignKeyName: "messages_conversation_id_fkey"; columns: ["conversation_id"]; isOneToOne: false; referencedRelation: "conversations"; referencedColumns: ["id"] },
          { foreignKeyName: "messages_reply_to_fkey"; columns: ["reply_to"]; isOneToOne: false; referencedRelation: "messages"; referencedColumns: ["id"] },
          { foreignKeyName: "messages_thread_id_fkey"; columns: ["thread_id"]; isOneToOne: false; referencedRelation: "messages"; referencedColumns: ["id"] },
        ]
      }
      notification_outbox: {
        Row: {
          id: number
          user_id: string
          kind: string
          title: string
          body: string
          url: string | null
          data: Json
          created_at: string
          due_at: string
          delivered_at: string | null
          attempts: number
          last_error: string | null
          claimed_at: string | null
          crashes: number
          settled_endpoints: string[]
        }
        Insert: {
          id?: never
          user_id: string
          kind: string
          title: string
          body: string
          url?: string | null
          data?: Json
          created_at?: string
          due_at?: string
          delivered_at?: string | null
          attempts?: number
          last_error?: string | null
          claimed_at?: string | null
          crashes?: number
          settled_endpoints?: string[]
        }
        Update: {
          id?: never
          user_id?: string
          kind?: string
          title?: string
          body?: string
          url?: string | null
          data?: Json
          created_at?: string
          due_at?: string
          delivered_at?: string | null
          attempts?: number
          last_error?: string | null
          claimed_at?: string | null
          crashes?: number
          settled_endpoints?: string[]
        }
        Relationships: [
        ]
      }
      notification_preferences: {
        Row: {
          user_id: string
          push: boolean
          email_digest: string
          sound: boolean
          preview: boolean
          quiet_start: string | null
          quiet_end: string | null
          time_zone: string
          updated_at: string
        }
        Insert: {
          user_id: string
          push?: boolean
          email_digest?: string
          sound?: boolean
          preview?: boolean
          quiet_start?: string | null
          quiet_end?: string | null
          time_zone?: string
          updated_at?: string
        }
        Update: {
          user_id?: string
          push?: boolean
          email_digest?: string
          sound?: boolean
          preview?: boolean
          quiet_start?: string | null
          quiet_end?: string | null
          time_zone?: string
          updated_at?: string
        }
        Relationships: [
        ]
      }
      profiles: {
        Row: {
          id: string
          display_name: string
          avatar_url: string | null
          kind: string
          org_id: string | null
          created_at: string
          updated_at: string
        }
        Insert: {
          id: string
          display_name: string
          avatar_url?: string | null
          kind?: string
          org_id?: string | null
          created_at?: string
          updated_at?: string
        }
        Update: {
          id?: string
          display_name?: string
          avatar_url?: string | null
          kind?: string
          org_id?: string | null
          created_at?: string
          updated_at?: string
        }
        Relationships: [
        ]
      }
      push_subscriptions: {
        Row: {
          endpoint: string
          user_id: string
          p256dh: string
          auth: string
          user_agent: string | null
          created_at: string
          last_error: string | null
        }
        Insert: {
          endpoint: string
          user_id: string
          p256dh: string
          auth: string
          user_agent?: string | null
          created_at?: string
          last_error?: string | null
        }
        Update: {
          endpoint?: string
          user_id?: string
          p256dh?: string
          auth?: string
          user_agent?: string | null
          created_at?: string
          last_error?: string | null
        }
        Relationships: [
        ]
      }
      share_links: {
        Row: {
          id: string
          org_id: string
          client_id: string | null
          subject_id: string
          subject_title: string | null
          advisor_id: string
          token: string
          enabled: boolean
          expires_at: string | null
          created_at: string
        }
        Insert: {
          id?: string
          org_id: string
          client_id?: string | null
          subject_id: string
          subject_title?: string | null
          advisor_id: string
          token?: string
          enabled?: boolean
          expires_at?: string | null
          created_at?: string
        }
        Update: {
          id?: string
          org_id?: string
          client_id?: string | null
          subject_id?: string
          subject_title?: string | null
          advisor_id?: string
          token?: string
          enabled?: boolean
          expires_at?: string | null
          created_at?: string
        }
        Relationships: [
        ]
      }
      user_blocks: {
        Row: {
          user_id: string
          blocked_id: string
          created_at: string
        }
        Insert: {
          user_id: string
          blocked_id: string
          created_at?: string
        }
        Update: {
          user_id?: string
          blocked_id?: string
          created_at?: string
        }
        Relationships: [
        ]
      }
      user_presence: {
        Row: {
          user_id: string
          is_online: boolean
          last_seen_at: string
        }
        Insert: {
          user_id: string
          is_online?: boolean
          last_seen_at?: string
        }
        Update: {
          user_id?: string
          is_online?: boolean
          last_seen_at?: string
        }
        Relationships: [
        ]
      }
    }
    Views: {
    }
    Functions: {
      accept_invite: {
        Args: {
          token: string
        }
        Returns: Database["public"]["Tables"]["conversations"]["Row"]
      }
      add_participants: {
        Args: {
          conversation_id: string
          user_ids: string[]
        }
        Returns: string[]
      }
      block_user: {
        Args: {
          user_id: string
        }
        Returns: undefined
      }
      create_group: {
        Args: {
          name: string
          user_ids: string[]
          type?: string | null
          project_id?: string | null
        }
        Returns: Database["public"]["Tables"]["conversations"]["Row"]
      }
      create_invite: {
        Args: {
          conversation_id: string
          expires_in?: string | null
          max_uses?: number | null
        }
        Returns: Database["public"]["Tables"]["conversation_invites"]["Row"]
      }
      delete_message: {
        Args: {
          message_id: string
        }
        Returns: Json
      }
      edit_message: {
        Args: {
          message_id: string
          content: string
        }
        Returns: Json
      }
      end_guest_session: {
        Args: never
        Returns: undefined
      }
      get_conversations: {
        Args: {
          filter?: string | null
          search?: string | null
          before?: string | null
          page_size?: number | null
          before_id?: string | null
        }
        Returns: ({
          id: string | null
          type: string | null
          name: string | null
          org_id: string | null
          project_id: string | null
          created_by: string | null
          created_at: string | null
          last_message_at: string | null
          last_message_preview: string | null
          last_message_sender_id: string | null
          last_message_sender_name: string | null
          role: string | null
          unread_count: number | null
          mention_count: number | null
          last_read_at: string | null
          last_read_message_id: string | null
          muted_until: string | null
          notify: string | null
          pinned_at: string | null
          archived_at: string | null
          participant_count: number | null
          participants: Json | null
          subject: string | null
        })[]
      }
      get_message: {
        Args: {
          message_id: string
        }
        Returns: Json
      }
      get_messages: {
        Args: {
          conversation_id: string
          before?: string | null
          after?: string | null
          thread_id?: string | null
          page_size?: number | null
          before_id?: string | null
          after_id?: string | null
        }
        Returns: Json
      }
      get_participants: {
        Args: {
          conversation_id: string
        }
        Returns: ({
          user_id: string | null
          display_name: string | null
          avatar_url: string | null
          kind: string | null
          role: string | null
          online: boolean | null
          last_seen_at: string | null
          joined_at: string | null
          last_read_at: string | null
          last_read_message_id: string | null
        })[]
      }
      get_unread_count: {
        Args: never
        Returns: Json
      }
      leave_conversation: {
        Args: {
          conversation_id: string
        }
        Returns: undefined
      }
      mark_as_read: {
        Args: {
          conversation_id: string
          up_to_message_id?: string | null
        }
        Returns: Json
      }
      mark_as_unread: {
        Args: {
          message_id: string
        }
        Returns: Json
      }
      register_push: {
        Args: {
          endpoint: string
          p256dh: string
          auth: string
          user_agent?: string | null
        }
        Returns: undefined
      }
      remove_participant: {
        Args: {
          conversation_id: string
          user_id: string
        }
        Returns: undefined
      }
      rename_conversation: {
        Args: {
          conversation_id: string
          name: string
        }
        Returns: Database["public"]["Tables"]["conversations"]["Row"]
      }
      report_message: {
        Args: {
          message_id: string
          reason: string
        }
        Returns: undefined
      }
      revoke_invite: {
        Args: {
          invite_id: string
        }
        Returns: undefined
      }
      search_messages: {
        Args: {
          query: string
          conversation_id?: string | null
          before?: string | null
          page_size?: number | null
          sender_id?: string | null
          has?: string | null
          after?: string | null
        }
        Returns: Json
      }
      send_message: {
        Args: {
          conversation_id: string
          content?: string | null
          content_type?: string | null
          attachments?: Json | null
          thread_id?: string | null
          reply_to?: string | null
          client_id?: string | null
          metadata?: Json | null
        }
        Returns: Json
      }
      set_conversation_preferences: {
        Args: {
          conversation_id: string
          muted_until?: string | null
          notify?: string | null
          pinned?: boolean | null
          archived?: boolean | null
          unmute?: boolean | null
        }
        Returns: Database["public"]["Tables"]["conversation_participants"]["Row"]
      }
      set_notification_preferences: {
        Args: {
          push?: boolean | null
          email_digest?: string | null
          sound?: boolean | null
          preview?: boolean | null
          quiet_start?: string | null
          quiet_end?: string | null
          time_zone?: string | null
          no_quiet_hours?: boolean | null
        }
        Returns: Database["public"]["Tables"]["notification_preferences"]["Row"]
      }
      set_participant_role: {
        Args: {
          conversation_id: string
          user_id: string
          role: string
        }
        Returns: undefined
      }
      start_conversation: {
        Args: {
          user_id: string
          project_id?: string | null
        }
        Returns: Database["public"]["Tables"]["conversations"]["Row"]
      }
      toggle_reaction: {
        Args: {
          message_id: string
          emoji: string
        }
        Returns: Json
      }
      touch_presence: {
        Args: {
          is_online?: boolean | null
        }
        Returns: Database["public"]["Tables"]["user_presence"]["Row"]
      }
      unblock_user: {
        Args: {
          user_id: string
        }
        Returns: undefined
      }
      unregister_push: {
        Args: {
          endpoint: string
        }
        Returns: undefined
      }
    }
    Enums: {
    }
    CompositeTypes: {}
  }
}
